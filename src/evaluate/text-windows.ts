// A text as windows of tokens: which there are, and which of them are asked for. As llama-perplexity cuts them: windows of
// `contextLength` tokens one after another, what remains at the end is left out.
import { PareError } from "../errors.js";
import type { LlamaModel } from "../native/llama-model.js";

/** A run of windows, or their numbers. */
export type WindowSelection = { start?: number; count?: number } | readonly number[];

/** Window length where none is asked for and the model allows it: llama-perplexity's. */
const CONTEXT_LENGTH_DEFAULT = 512;

/** Fewer tokens score almost nothing. */
const CONTEXT_LENGTH_MIN = 8;

/**
 * Texts to tokens, one text after another, each with BOS and EOS where the vocabulary adds them.
 *
 * @param options.parseSpecial read `<|im_start|>` and the like as control tokens, as chat-formatted text wants
 */
export function tokenizeTexts(
  model: LlamaModel,
  texts: readonly string[],
  { parseSpecial = false }: { parseSpecial?: boolean | undefined } = {},
): Int32Array {
  const parts = texts.map((text) => model.tokenize(text, { addSpecial: true, parseSpecial }));
  const tokens = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    tokens.set(part, offset);
    offset += part.length;
  }
  return tokens;
}

/** The window length for a model: what is asked for, else 512, or less where the model was trained on less. */
export function resolveContextLength(model: LlamaModel, wanted: number | undefined): number {
  if (wanted !== undefined) {
    if (Number.isInteger(wanted) && wanted >= CONTEXT_LENGTH_MIN) return wanted;
    throw new RangeError(`Cannot measure in windows of ${wanted} tokens: ${CONTEXT_LENGTH_MIN} or more are needed`);
  }
  const architecture = model.metadata("general.architecture") ?? "";
  const trained = model.contextLengthTrained || Number(model.metadata(`${architecture}.context_length`) ?? 0); // 0 with the vocabulary only
  return trained > 0 ? Math.min(CONTEXT_LENGTH_DEFAULT, trained) : CONTEXT_LENGTH_DEFAULT;
}

/**
 * How many whole windows a text has.
 *
 * @throws {PareError} when there is not one; the message has the tokens found and wanted
 */
export function requireWindows(tokens: number, contextLength: number): number {
  const windows = Math.floor(tokens / contextLength);
  if (windows > 0) return windows;
  throw new PareError(`The text is too short: ${tokens} tokens, one window needs ${contextLength}`, {
    hint: "Give more text, or a shorter window with --context",
  });
}

/**
 * The numbers of the selected windows, ascending.
 *
 * @param available windows that the text has; all of them when `selection` is absent. A run may reach past the end
 * @throws {PareError} when nothing is selected or a window is named that the text lacks
 */
export function selectWindows(available: number, selection: WindowSelection | undefined): number[] {
  if (isList(selection)) {
    const wrong = selection.find((window) => !(Number.isInteger(window) && window >= 0 && window < available));
    if (wrong !== undefined)
      throw new PareError(`The text has no window ${wrong}: it has ${available}, counted from 0`);
    if (selection.length === 0) throw new PareError("No window of the text is selected");
    return [...new Set(selection)].sort((a, b) => a - b);
  }
  const start = selection?.start ?? 0;
  const end = Math.min(available, start + (selection?.count ?? available));
  if (!(start >= 0 && end > start)) {
    throw new PareError(`The text has no windows from ${start} on: it has ${available}, counted from 0`);
  }
  return Array.from({ length: end - start }, (_, i) => start + i);
}

function isList(selection: WindowSelection | undefined): selection is readonly number[] {
  return Array.isArray(selection);
}
