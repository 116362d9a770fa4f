// From the results of all cases to what they say: the score with its interval, by tag, and what else the kind of task tells.
import { PareError } from "../errors.js";
import { optional } from "../support/optional.js";
import { type CalibrationResult, calibrationOf, probabilitiesOf } from "./calibration.js";
import { confusionOf } from "./confusion.js";
import { repeatsOf } from "./repeats.js";
import { SCORERS } from "./scorers/registry.js";
import { boundedMeanInterval, type Interval, wilsonInterval } from "./statistics.js";
import type { CaseResult, TaskFailure, TaskResult } from "./task-result.js";
import type { Task, TaskCase } from "./task.js";

/** What a summary is of. */
export interface SummaryRequest {
  model: string;
  task: Pick<Task, "name" | "path" | "sha256">;
  isBaseline?: boolean | undefined;
  baselineAnswers?: Readonly<Record<string, string>> | undefined;
}

/**
 * Adds up the results of all cases.
 *
 * @throws {PareError} when nothing could be scored, and this is no baseline
 */
export function summarize(
  request: SummaryRequest,
  cases: TaskCase[],
  perCase: CaseResult[],
  time: { decodeMs: number; seconds: number },
): TaskResult {
  const { name, path, sha256 } = request.task;
  const scored = perCase.filter(({ score }) => score !== null);
  const unscored = perCase
    .filter(({ score }) => score === null)
    .map(({ id, answer, explanation = "" }) => ({ id, answer, explanation }));
  if (scored.length === 0 && !request.isBaseline) {
    throw new PareError(
      `Nothing in task "${path}" could be scored: ${unscored[0]?.explanation ?? "no case was chosen"}`,
    );
  }
  return {
    model: request.model,
    task: { name, path, sha256 },
    score: scored.length === 0 ? null : intervalOf(scored),
    cases: scored.length,
    tags: perTag(scored),
    ...optional("worstTag", worstTag(scored)),
    ...optional("calibration", calibrationOfChoices(cases, perCase)),
    ...optional("confusion", confusionOf(cases, perCase)),
    ...optional("parts", meanParts(perCase)),
    ...optional("repeats", repeatsOf(perCase)),
    failures: failuresOf(request, cases, perCase),
    unscored,
    perCase,
    speed: speedOf(perCase, time),
  };
}

/** Wilson's interval for right and wrong; where scores lie between, one for values within bounds. */
function intervalOf(scored: readonly CaseResult[], confidence = 0.95): Interval {
  const values = scored.map(({ score }) => score!);
  if (values.some((value) => value !== 0 && value !== 1)) return boundedMeanInterval(values, undefined, confidence);
  return wilsonInterval(values.filter((value) => value === 1).length, values.length, confidence);
}

/** Of many tags one looks bad by chance: its interval is as wide as it takes for all of them to hold at once (Bonferroni). */
function worstTag(scored: readonly CaseResult[]): TaskResult["worstTag"] {
  const tags = [...new Set(scored.flatMap((one) => one.tags))].sort();
  if (tags.length < 2) return undefined;
  const confidence = 1 - 0.05 / tags.length;
  return tags
    .map((tag) => {
      const tagged = scored.filter((one) => one.tags.includes(tag));
      return { tag, cases: tagged.length, ...intervalOf(tagged, confidence) };
    })
    .reduce((worst, one) => (one.mean < worst.mean || (one.mean === worst.mean && one.low < worst.low) ? one : worst));
}

function calibrationOfChoices(
  cases: readonly TaskCase[],
  perCase: readonly CaseResult[],
): CalibrationResult | undefined {
  const choices = cases.flatMap((taskCase, index) => {
    const { logLikelihoods } = perCase[index]!;
    if (taskCase.scorer !== "choice" || taskCase.expect === undefined) return [];
    if (!logLikelihoods?.every(Number.isFinite)) return [];
    const expected = taskCase.choices!.indexOf(SCORERS.choice.expected(taskCase, undefined));
    return [{ probabilities: probabilitiesOf(logLikelihoods), expected }];
  });
  return choices.length > 0 && choices.length === cases.length ? calibrationOf(choices) : undefined;
}

/** Indices of lists say little across cases: the items of one list are one part. */
function meanParts(perCase: readonly CaseResult[]): TaskResult["parts"] {
  const sums = new Map<string, { sum: number; cases: number }>();
  for (const { parts = {} } of perCase) {
    for (const [name, value] of Object.entries(parts)) {
      const part = name.replaceAll(/\[\d+\]/gu, "[]");
      const { sum, cases } = sums.get(part) ?? { sum: 0, cases: 0 };
      sums.set(part, { sum: sum + value, cases: cases + 1 });
    }
  }
  if (sums.size === 0) return undefined;
  return Object.fromEntries([...sums].map(([name, { sum, cases }]) => [name, { mean: sum / cases, cases }]));
}

function perTag(scored: readonly CaseResult[]): TaskResult["tags"] {
  const tags = [...new Set(scored.flatMap(({ tags }) => tags))].sort();
  return Object.fromEntries(
    tags.map((tag) => {
      const tagged = scored.filter(({ tags }) => tags.includes(tag));
      return [tag, { ...intervalOf(tagged), cases: tagged.length }];
    }),
  );
}

function failuresOf(
  request: SummaryRequest,
  cases: readonly TaskCase[],
  perCase: readonly CaseResult[],
): TaskFailure[] {
  return cases.flatMap((taskCase, i) => {
    const { id, score, answer, explanation = "" } = perCase[i]!;
    if (score === null || score === 1) return [];
    const expected = SCORERS[taskCase.scorer].expected(taskCase, request.baselineAnswers?.[id]);
    return [{ id, expected, answer, explanation }];
  });
}

function speedOf(
  perCase: readonly CaseResult[],
  { decodeMs, seconds }: { decodeMs: number; seconds: number },
): TaskResult["speed"] {
  const sum = (value: (one: CaseResult) => number): number => perCase.reduce((total, one) => total + value(one), 0);
  const promptTokens = sum((one) => one.promptTokens);
  const answerTokens = sum((one) => one.answerTokens);
  const stepTokens = sum((one) => Math.max(0, one.answerTokens - 1)); // the first comes from the prompt's logits
  const prefillMs = sum((one) => one.prefillMs);
  return {
    seconds,
    promptTokens,
    answerTokens,
    prefillTokensPerSecond: prefillMs > 0 ? (promptTokens / prefillMs) * 1000 : null,
    decodeTokensPerSecond: stepTokens > 0 && decodeMs > 0 ? (stepTokens / decodeMs) * 1000 : null,
  };
}
