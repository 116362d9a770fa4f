// What a family's file says: which checkpoints are its, how their tensors are called in GGUF, and which numbers describe it.
import { FormatError } from "../errors.js";
import type { Config } from "../formats/huggingface/config.js";
import type { JsonObject } from "../formats/huggingface/json-file.js";
import type { Hyperparameters } from "./hyperparameters.js";
import type { Recollection } from "./recollection.js";

/** A model family. */
export interface Family {
  /** For people: `Llama, SmolLM`. */
  readonly name: string;
  /** The classes of transformers' that `architectures` in config.json names. */
  readonly classes: readonly string[];
  /** llama.cpp's name. */
  readonly architecture: string;
  /** transformers' name: `model_type` in config.json. */
  readonly modelType: string;
  /** What transformers takes for values that config.json leaves out. */
  readonly defaults: JsonObject;
  readonly tensors: TensorNames;
  /** True to take added tokens as the tokenizer marks them, whatever they look like. */
  readonly trustsMarks?: boolean;
  /** False where SentencePiece puts no space in front of a text, whatever the tokenizer's files say. */
  readonly addsSpacePrefix?: false;
  /** The name of a tensor of the text model as the rules have it; undefined for one that is not of it. */
  readonly textName?: (name: string) => string | undefined;
  /** Writes the numbers, and refuses what llama.cpp's graph of this family does otherwise. */
  describe(config: Config, into: Hyperparameters): void;
  /** The way back: the numbers as transformers names them, and what llama.cpp's graph of the family has fixed. */
  restore(from: Recollection): JsonObject;
  /** Tensors that are made of the configuration. */
  computed?(config: Config): ComputedTensor[];
}

/**
 * From names in a checkpoint to names in GGUF. `{layer}` stands for a number in both; `{expert}` for a number in the
 * checkpoint, whose tensors are stacked in that order.
 */
export type TensorNames = Readonly<Record<string, string | TensorRule>>;

/** A tensor that is more than renamed. */
export interface TensorRule {
  readonly to: string;
  /** Added to each value. */
  readonly plus?: number;
  /** The configuration's count of heads whose rows are reordered: see `rotated()`. */
  readonly heads?: (config: Config) => number;
  /** True when a checkpoint may lack it. */
  readonly isOptional?: boolean;
  /** True when it is left out: llama.cpp does without. */
  readonly isDropped?: boolean;
}

/** A vector of floats that no file has. */
export interface ComputedTensor {
  readonly name: string;
  readonly values: Float32Array;
}

/** Renames a tensor that a checkpoint may lack, such as a bias. */
export function optional(to: string): TensorRule {
  return { to, isOptional: true };
}

/** A norm whose weight is stored as its distance from 1, which llama.cpp wants whole. */
export function aroundOne(to: string): TensorRule {
  return { to, plus: 1 };
}

/** A tensor that llama.cpp does without. */
export const DROPPED: TensorRule = { to: "", isOptional: true, isDropped: true };

/**
 * A query or key projection whose rotary pairs are (i, i + half) in the checkpoint, as transformers turns them, and
 * (2i, 2i + 1) in GGUF, as llama.cpp's `norm` rope does: within each head, rows of both halves take turns.
 */
export function rotated(to: string, heads: (config: Config) => number, isOptional = false): TensorRule {
  return { to, heads, isOptional };
}

/** Refuses a value that llama.cpp's graph of the family has fixed otherwise. */
export function requireValue(config: Config, key: string, wanted: string | number | boolean): void {
  const found = config.values[key] ?? wanted;
  if (found === wanted) return;
  const path = config.path;
  const text = `${config.prefix}${key} is ${JSON.stringify(found)}, and llama.cpp runs this family with ${JSON.stringify(wanted)}`;
  throw new FormatError(path, `Cannot convert "${path}": ${text}`);
}
