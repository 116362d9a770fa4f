// Asking the same case several times, with answers drawn at random: is it right every time, or only sometimes? One answer per case
// can't tell (pass^k: Yao et al., 2024, "τ-bench", arXiv:2406.12045, section 3).
import { Random } from "../support/random.js";
import { createSampler, type Sampler } from "./sample.js";
import type { CaseResult } from "./task-result.js";
import type { RepeatSettings } from "./task.js";

/** Of answers that are drawn, unless the task says otherwise. */
export const TEMPERATURE_DEFAULT = 0.7;

export interface RepeatResult {
  /** Answers per case. */
  count: number;
  /** `passPower[k - 1]`: the chance that a case is right k times in a row, for k from 1 to `count`. */
  passPower: number[];
  /** Share of cases of which at least one answer is right. */
  passAny: number;
  /** Share of cases that are sometimes right and sometimes not. */
  flickerRate: number;
}

/** How the answer of one repeat is drawn, by the chain of sample.ts: the same for the same case, repeat and seed. Without repeats it is greedy. */
export function samplerOf(id: string, repeat: number, settings: RepeatSettings): Sampler | undefined {
  const { repeats = 1, temperature = TEMPERATURE_DEFAULT, seed = 1 } = settings;
  if (repeats === 1) return undefined;
  return createSampler({
    temperature,
    topK: 0,
    topP: 1,
    minP: 0,
    seed: new Random(seed).fork(`${repeat} ${id}`).bits(),
  });
}

/** One result of all answers to a case: the mean score, and the first answer that is not right as the one to look at. */
export function mergeRepeats(results: readonly CaseResult[]): CaseResult {
  const shown = results.find(({ score }) => score !== 1) ?? results[0]!;
  if (results.length === 1) return shown;
  const scores = results.map(({ score }) => score).filter((score) => score !== null);
  const sum = (of: (one: CaseResult) => number): number => results.reduce((total, one) => total + of(one), 0);
  return {
    ...shown,
    score: scores.length === 0 ? null : scores.reduce((a, b) => a + b, 0) / scores.length,
    promptTokens: sum((one) => one.promptTokens),
    answerTokens: sum((one) => one.answerTokens),
    prefillMs: sum((one) => one.prefillMs),
    repeats: results.map(({ score, answer }) => ({ score, answer })),
  };
}

/**
 * How steady the answers are. The chance of k right ones in a row is estimated without bias from c right of n: C(c, k) ÷ C(n, k).
 *
 * @returns undefined where no case was asked several times
 */
export function repeatsOf(perCase: readonly CaseResult[]): RepeatResult | undefined {
  const asked = perCase.flatMap(({ repeats }) => (repeats ? [repeats.map(({ score }) => score === 1)] : []));
  if (asked.length === 0) return undefined;
  const count = Math.min(...asked.map((answers) => answers.length));
  const right = asked.map((answers) => ({ c: answers.filter(Boolean).length, n: answers.length }));
  const share = (isSo: (one: { c: number; n: number }) => boolean): number => right.filter(isSo).length / asked.length;
  return {
    count,
    passPower: Array.from({ length: count }, (_, index) => mean(right.map(({ c, n }) => chanceOfAll(c, n, index + 1)))),
    passAny: share(({ c }) => c > 0),
    flickerRate: share(({ c, n }) => c > 0 && c < n),
  };
}

/** C(c, k) ÷ C(n, k), as a product of ratios. */
function chanceOfAll(c: number, n: number, k: number): number {
  let chance = 1;
  for (let i = 0; i < k; i++) chance *= Math.max(0, c - i) / (n - i);
  return chance;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
