// Numbers that are the same in GGUF and in config.json but for their names: one table, read in both directions.
import type { Config } from "../formats/huggingface/config.js";
import type { Hyperparameters } from "./hyperparameters.js";
import type { Recollection } from "./recollection.js";

/** From llama.cpp's key, without the architecture, to transformers'. */
export type NumberNames = Readonly<Record<string, string>>;

/** Whole numbers that every configuration of the family has. */
export function describeCounts(config: Config, into: Hyperparameters, names: NumberNames): void {
  for (const [key, name] of Object.entries(names)) into.count(key, config.count(name));
}

/** Whole numbers that a configuration may lack. */
export function describeOptionalCounts(config: Config, into: Hyperparameters, names: NumberNames): void {
  for (const [key, name] of Object.entries(names)) into.count(key, config.optionalCount(name));
}

/** Numbers of single precision that a configuration may lack. */
export function describeNumbers(config: Config, into: Hyperparameters, names: NumberNames): void {
  for (const [key, name] of Object.entries(names)) into.number(key, config.optionalNumber(name));
}

/** Those of the numbers that the model has, under transformers' names. */
export function restoreNumbers(from: Recollection, names: NumberNames): Record<string, number> {
  const entries = Object.entries(names).map(([key, name]) => [name, from.number(key)] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, number] => entry[1] !== undefined));
}
