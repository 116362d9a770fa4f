// Calibration, held-out and out-of-domain text of each model, cut to the tokens that are wanted and kept as files, so that
// every method reads the same bytes. Nothing that calibrates is in what evaluates.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { tokenizeText } from "../../dist/evaluate/text.js";
import { sha256 } from "../../dist/support/files.js";

/** Of no text here more; spares tokenizing all of a long source. */
const CHARACTERS_PER_TOKEN_MAX = 10;

export const KINDS = ["calibration", "heldOut", "outOfDomain"];

/** @returns by kind: path, content, tokens and hash of the text */
export async function textsOf(model, { folder, threads }) {
  mkdirSync(folder, { recursive: true });
  const texts = {};
  for (const kind of KINDS) {
    const path = join(folder, `${model.name}-${kind}.txt`);
    if (!existsSync(path)) writeFileSync(path, await makeText(model, kind, threads));
    const content = readFileSync(path, "utf8");
    const windows = model.windows[kind];
    texts[kind] = { path, content, windows, tokens: windows * model.contextLength, sha256: sha256(content) };
  }
  return texts;
}

async function makeText(model, kind, threads) {
  const tokensWanted = model.windows[kind] * model.contextLength;
  const text = await model.texts[kind]({ path: model.path, tokensWanted, threads });
  return cutToTokens(model, text, tokensWanted);
}

/** The shortest run of whole lines from the start that has the tokens. */
async function cutToTokens(model, text, tokensWanted) {
  const lines = text.slice(0, CHARACTERS_PER_TOKEN_MAX * tokensWanted).split(/(?<=\n)/);
  const count = async (taken) => {
    const texts = [lines.slice(0, taken).join("")];
    return (await tokenizeText({ model: model.path, texts, parseSpecial: model.isChat })).length;
  };
  let [low, high] = [1, lines.length];
  if ((await count(high)) < tokensWanted) throw new Error(`${model.name}: the text has not ${tokensWanted} tokens`);
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((await count(middle)) >= tokensWanted) high = middle;
    else low = middle + 1;
  }
  return lines.slice(0, low).join("");
}
