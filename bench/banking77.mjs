// Banking77 (Casanueva et al., 2020, arXiv:2003.04807) as training examples and as a task: a customer's message, and which
// of 77 intents it has. Labels are their names in words, so that a language model has something to go by.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Random } from "../dist/support/random.js";

const folder = fileURLToPath(new URL("../../shared/data/banking77/", import.meta.url));

/** The message with what asks for its intent; the answer follows after a space. */
const promptOf = (text) => `${text.replaceAll(/\s+/g, " ").trim()}\nIntent:`;
const labelOf = (category) => category.replaceAll("_", " ").replaceAll("?", "").toLowerCase();

/** @returns {{ text: string, label: string }[]} */
export function readSplit(name) {
  const [, ...rows] = parseCsv(readFileSync(`${folder}${name}.csv`, "utf8"));
  return rows.map(([text, category]) => ({ text, label: labelOf(category) }));
}

export function labels() {
  return JSON.parse(readFileSync(`${folder}categories.json`, "utf8")).map(labelOf);
}

/** Lines to train on, in an order by chance. */
export function trainingLines(rows, seed) {
  const lines = rows.map(({ text, label }) => JSON.stringify({ prompt: promptOf(text), completion: ` ${label}` }));
  return new Random(seed).shuffled(lines);
}

/** Cases whose answer is written out, or chosen among all labels. */
export function taskLines(rows, scorer) {
  const choices = labels().map((label) => ` ${label}`);
  return rows.map(({ text, label }, i) =>
    JSON.stringify({
      id: i,
      prompt: promptOf(text),
      scorer,
      expect: scorer === "choice" ? ` ${label}` : label,
      ...(scorer === "choice" ? { choices } : { maxTokens: 24, stop: ["\n"] }),
    }),
  );
}

/** Fields may stand in quotes, with quotes in them doubled. */
function parseCsv(text) {
  const rows = [];
  let row = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    if (row.length > 1) rows.push(row);
    row = [];
  }
  return rows;
}
