// What commands that take a task offer: names of scorers and suites. They stand here as words, as the command line starts without the
// code behind them; task-options.test.ts holds them to it.
import { UsageError } from "../errors.js";

export const SCORER_WORDS = [
  "exact",
  "contains",
  "regex",
  "choice",
  "json",
  "numeric",
  "label",
  "chrf",
  "constraints",
  "code",
  "judge",
  "function",
] as const;

export const SUITE_WORDS = [
  "extraction",
  "classification",
  "grounded",
  "arithmetic",
  "logic",
  "instructions",
  "tool-calls",
  "robustness",
] as const;

/** The task that `--task` or `--suite` names, as a path. @throws {UsageError} when both are given */
export function taskPath({ task, suite }: { task?: string; suite?: string }): string | undefined {
  if (task !== undefined && suite !== undefined) {
    throw new UsageError("Both --task and --suite are given, one is wanted");
  }
  return suite === undefined ? task : `suite:${suite}`;
}
