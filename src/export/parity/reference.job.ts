// The engine's side of the yardstick: logits of every position, of which the likeliest tokens are kept. Nothing that
// trades exactness for speed is on: no repacked weights, no flash attention, a cache in single precision.
import { likeliest } from "../../evaluate/sample.js";
import { openModel } from "../../model/open.js";
import { rowCount } from "../../model/model.js";
import { type Engine, loadEngine } from "../../native/engine.js";
import { dequantize } from "../../native/ggml.js";
import { LlamaContext } from "../../native/llama-context.js";
import { LlamaModel } from "../../native/llama-model.js";
import { buildUserModel } from "../../native/user-model.js";
import type { PositionText, Reference, ReferenceInput, TopTokens } from "./reference.js";

const TOP_TOKENS = 8;
/** Positions that are compared at most; also what a browser on a slow machine gets through. */
const POSITIONS_MAX = 256;

export async function run({ model: path, text, isDecoded, wantsText }: ReferenceInput): Promise<Reference> {
  const engine = loadEngine();
  using model = isDecoded ? await loadDecoded(engine, path) : LlamaModel.load(engine, path);
  const positions = Math.min(POSITIONS_MAX, model.contextLengthTrained || POSITIONS_MAX);
  const tokens = [...model.tokenize(text, { addSpecial: true })].slice(0, positions);
  using context = LlamaContext.create(model, {
    contextLength: POSITIONS_MAX,
    flashAttention: "off",
    typeK: "f32",
    typeV: "f32",
  });
  const batch = context.newBatch(tokens.length);
  for (const [position, token] of tokens.entries()) batch.add(token, position, 0, true);
  context.decode(batch);
  const top = tokens.map((_, index) => topOf(context.logits(index)));
  return { tokens, top, ...(wantsText && { asText: textsOf(model, text, tokens, top) }) };
}

function topOf(logits: Float32Array): TopTokens {
  const tokens = likeliest(logits, TOP_TOKENS);
  return { tokens, logits: tokens.map((token) => logits[token]!) };
}

function textsOf(
  model: LlamaModel,
  text: string,
  tokens: readonly number[],
  top: readonly TopTokens[],
): PositionText[] {
  return tokens.map((_, position) => ({
    prefix: prefixOf(model, text, tokens.slice(0, position + 1)),
    top: top[position]!.tokens.map((token) => wholeText(model.tokenBytes(token))),
  }));
}

/** SentencePiece's first token has a space that the text has not. */
function prefixOf(model: LlamaModel, text: string, tokens: readonly number[]): string | undefined {
  const decoded = model.detokenize(tokens);
  const prefix = text.startsWith(decoded) ? decoded : decoded.slice(1);
  const isWhole = prefix !== "" && text.startsWith(prefix);
  return isWhole && model.tokenize(prefix, { addSpecial: true }).join() === tokens.join() ? prefix : undefined;
}

function wholeText(bytes: Uint8Array): string | undefined {
  const text = new TextDecoder().decode(bytes);
  return text === "" || text.includes("\uFFFD") ? undefined : text;
}

/** The model with every weight as the number that it stands for, as other runtimes have it. */
async function loadDecoded(engine: Engine, path: string): Promise<LlamaModel> {
  await using source = await openModel(path);
  const tensors = [...source.tensors.values()].map(({ name, shape }) => ({ name, shape, type: "f32" }));
  const { model, weights } = buildUserModel(engine, { metadataPath: path, tensors, fill: () => undefined });
  for (const { name, type, shape, readRows } of source.tensors.values()) {
    const [rows, columns] = [rowCount(shape), shape[0]!];
    const values = dequantize(engine, type, await readRows(0, rows), rows * columns);
    weights.get(name)?.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return model;
}
