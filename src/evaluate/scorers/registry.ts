// Every scorer there is. A new one is a file in this folder and a line here.
import { choice } from "./choice.js";
import { chrf } from "./chrf.js";
import { code } from "./code.js";
import { constraints } from "./constraints.js";
import { contains } from "./contains.js";
import { exact } from "./exact.js";
import { ownFunction } from "./function.js";
import { json } from "./json.js";
import { judge } from "./judge.js";
import { label } from "./label.js";
import { numeric } from "./numeric.js";
import { regex } from "./regex.js";
import type { Scorer } from "./scorer.js";

export const SCORERS = {
  exact,
  contains,
  regex,
  choice,
  json,
  numeric,
  label,
  chrf,
  constraints,
  code,
  judge,
  function: ownFunction,
} as const satisfies Record<string, Scorer>;

export type ScorerName = keyof typeof SCORERS;

export const SCORER_NAMES = Object.keys(SCORERS) as ScorerName[];

export function isScorerName(name: string): name is ScorerName {
  return Object.hasOwn(SCORERS, name);
}
