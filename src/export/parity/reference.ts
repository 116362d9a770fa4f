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
  /** For runtimes that are asked in text; only where that was asked for. */
  readonly asText?: readonly PositionText[];
}

/** A position as text. */
export interface PositionText {
  /** The text up to there, if it has the same tokens by itself. */
  readonly prefix: string | undefined;
  /** Texts of the likeliest tokens; undefined for those that are no whole characters, or no text. */
  readonly top: readonly (string | undefined)[];
}

/** What the job is given. */
export interface ReferenceInput {
  readonly model: string;
  readonly text: string;
  /** True to compute with the numbers that the weights stand for; false as llama.cpp does, which rounds what meets quantized ones. */
  readonly isDecoded: boolean;
  /** True to give texts, too. */
  readonly wantsText: boolean;
}

/**
 * Runs the model over the text in a child process.
 *
 * @param options.isDecoded true for runtimes that are not llama.cpp; takes four bytes a weight
 * @param options.wantsText true for runtimes that take and give text alone
 * @throws {EngineError} when the engine can't run it
 */
export function computeReference(
  model: string,
  options: RunOptions & { isDecoded?: boolean; wantsText?: boolean } = {},
): Promise<Reference> {
  const input = {
    model,
    text: PARITY_TEXT,
    isDecoded: options.isDecoded ?? false,
    wantsText: options.wantsText ?? false,
  };
  return isolate<ReferenceInput, Reference>("export/parity/reference.job", input, {
    what: `reading a text with "${model}"`,
    signal: options.signal,
  });
}
