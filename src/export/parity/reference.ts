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
}

/** Runs the model over the text in a child process. @throws {EngineError} when the engine can't run it */
export function computeReference(model: string, options: RunOptions = {}): Promise<Reference> {
  const input = { model, text: PARITY_TEXT };
  return isolate<ReferenceInput, Reference>("export/parity/reference.job", input, {
    what: `reading a text with "${model}"`,
    signal: options.signal,
  });
}
