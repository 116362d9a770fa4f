// Scores one answer to one case, as a task file would have it.
import { SCORERS } from "../src/evaluate/scorers/registry.js";
import type { Score } from "../src/evaluate/scorers/scorer.js";
import { parseTask, type TaskCase } from "../src/evaluate/task.js";

/** A case of a task file, with a prompt where it has none. */
export function caseOf(fields: object, path = "t.jsonl"): TaskCase {
  return parseTask(JSON.stringify({ prompt: "?", ...fields }), { path }).cases[0]!;
}

/** The score of an answer, by the scorer that the case names or implies. */
export async function scoreOf(answer: string, fields: object, path?: string): Promise<Score> {
  const taskCase = caseOf(fields, path);
  return SCORERS[taskCase.scorer].score(answer, taskCase);
}
