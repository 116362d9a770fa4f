// The judge's part in running a task: asked beforehand whether it is there, and for its verdicts when all answers are.
import { UsageError } from "../../errors.js";
import { optional } from "../../support/optional.js";
import { SCORERS } from "../scorers/registry.js";
import { type SummaryRequest, summarize } from "../summarize-task.js";
import type { CaseResult, JudgeResult, TaskResult } from "../task-result.js";
import type { Task, TaskCase } from "../task.js";
import { type AskOptions, requireJudge } from "./ask-judge.js";
import { type JudgedAnswer, judgeCases, judgesOf } from "./judge-cases.js";
import type { JudgeSpending } from "./judge-cost.js";
import type { JudgeMemory } from "./judge-memory.js";

/** How judges are asked, besides what a task says of them. */
export interface JudgeTerms {
  /** What they said before. */
  memory?: JudgeMemory | undefined;
  spending?: JudgeSpending | undefined;
  /** `ready`: they were found to be there. `later`: answers are left unscored, for whoever runs the task to have them judged. */
  state?: "ready" | "later" | undefined;
}

/** Whether another model scores the case, after it was run. */
export function isJudged({ scorer }: TaskCase): boolean {
  return SCORERS[scorer].asksModel === true;
}

/**
 * Finds out whether the judges of some cases can be asked, before the first answer is made.
 *
 * @throws {UsageError} when a judge's key or file is absent, or cases are to be asked several times
 * @throws {PareError} when an endpoint gives no answer
 */
export async function requireJudges(
  cases: readonly TaskCase[],
  repeats: number | undefined,
  options: AskOptions,
): Promise<void> {
  const judges = judgesOf(cases);
  if (judges.length > 0 && repeats !== undefined && repeats > 1) {
    throw new UsageError("A judge takes one answer to each case, and repeats are asked for", {
      hint: "Leave out --repeats, or score by what needs no judge",
    });
  }
  for (const judge of judges) await requireJudge(judge, options);
}

/** @throws {UsageError} when a task has judged cases, where a judge's verdicts can't be used */
export function refuseJudge({ path, cases }: Pick<Task, "path" | "cases">, what: string): void {
  const judged = cases.find(isJudged);
  if (judged === undefined) return;
  throw new UsageError(`Cannot use task "${path}" for ${what}: a judge scores line ${judged.line}`, {
    hint: "Score it by another scorer, or measure with pare eval, fit or compare, which ask judges",
  });
}

/**
 * Completes a result by the verdicts of judges.
 *
 * @throws {PareError} when a judge can't be asked, or nothing could be scored
 */
export async function judgeTask(
  result: TaskResult,
  request: SummaryRequest & { task: Task },
  options: AskOptions,
): Promise<TaskResult> {
  const { perCase, judge } = await judgeAnswers(result.perCase, request, options);
  if (judge === undefined) return result;
  const caseOf = new Map(request.task.cases.map((one) => [one.id, one]));
  const cases = perCase.map(({ id }) => caseOf.get(id)!);
  const { speed, contradictions, excluded } = result;
  return {
    ...summarize(request, cases, perCase, { decodeMs: 0, seconds: 0 }),
    judge,
    speed, // of the model, without its judge
    ...optional("contradictions", contradictions),
    ...optional("excluded", excluded),
  };
}

/**
 * Scores the answers that wait for a judge, and leaves the others as they are.
 *
 * @returns the results in their order; no `judge` where none was needed
 * @throws {PareError} when a judge can't be asked
 */
export async function judgeAnswers<Result extends CaseResult>(
  results: readonly Result[],
  { task, baselineAnswers }: { task: Pick<Task, "cases"> } & Pick<SummaryRequest, "baselineAnswers">,
  options: AskOptions,
): Promise<{ perCase: Result[]; judge?: JudgeResult }> {
  const caseOf = new Map(task.cases.map((one) => [one.id, one]));
  const waiting = results
    .map((result) => ({ taskCase: caseOf.get(result.id)!, result, baselineAnswer: baselineAnswers?.[result.id] }))
    .filter(isWaiting);
  if (waiting.length === 0) return { perCase: [...results] };
  const { results: scored, judge } = await judgeCases(waiting, options);
  const judged = new Map(scored.map((one) => [one.id, one as Result]));
  return { perCase: results.map((one) => judged.get(one.id) ?? one), judge };
}

/** A broken model needs no judge, and a baseline is not compared with itself. */
function isWaiting({ taskCase, result, baselineAnswer }: JudgedAnswer): boolean {
  const hasReference = baselineAnswer !== undefined || !SCORERS[taskCase.scorer].needsBaseline(taskCase);
  return isJudged(taskCase) && result.score === null && hasReference;
}
