// What Pare's own engine says of the fixed text: the yardstick of every export.
import { isolate } from "../../native/isolate.js";
import type { RunOptions } from "../../support/progress.js";
import { PARITY_TEXT } from "./parity-text.js";

/** The likeliest tokens after one position, likeliest first. */
export interface TopTokens {
  readonly tokens: readonly number[];
  readonly logits: readonly number[];
}

/** A model's view of the text, teacher-forced: each position sees the text's own tokens before it. */
export interface Reference {
  /** The text as the model's tokenizer has it, with BOS where the vocabulary asks for one. */
  readonly tokens: readonly number[];
  /** After each token. */
  readonly top: readonly TopTokens[];
}

/** What the job is given. */
export interface ReferenceInput {
  readonly model: string;
  readonly text: string;
  /** True to compute with the numbers that the weights stand for; false as llama.cpp does, which rounds what meets quantized ones. */
  readonly isDecoded: boolean;
}

/**
 * Runs the model over the text in a child process.
 *
 * @param options.isDecoded true for runtimes that are not llama.cpp; takes four bytes a weight
 * @throws {EngineError} when the engine can't run it
 */
export function computeReference(
  model: string,
  options: RunOptions & { isDecoded?: boolean } = {},
): Promise<Reference> {
  const input = { model, text: PARITY_TEXT, isDecoded: options.isDecoded ?? false };
  return isolate<ReferenceInput, Reference>("export/parity/reference.job", input, {
    what: `reading a text with "${model}"`,
    signal: options.signal,
  });
}
