// The promise of a verdict, by simulation: a candidate that is truly below the bar is accepted in at most 2.5 % of trials, and
// a fit with two tries accepts wrongly in at most 5 %, although it may stop at any time. The set of cases is fixed, the orders
// are random. Allowed are three standard errors of 2 000 simulations on top.
import { expect, test } from "vitest";

import { Random } from "../support/random.js";
import { Contention, type OrderedCase } from "./contention.js";
import { type TrialQuestion, runPairedTrial } from "./paired-trial.js";

const SIMULATIONS = 2000;
const ALPHA = 0.025;

interface SimulatedCase extends OrderedCase {
  baseline: number;
  /** Scores of two candidates that lose mostly the same cases. */
  candidates: [number, number];
}

/** 300 cases, of which the baseline gets 240; candidates keep 227 ÷ 240, just below 95 %. Losses sit mostly under one tag. */
const KEEP = 0.95;
const CASES: SimulatedCase[] = Array.from({ length: 300 }, (_, index) => {
  const isHard = index >= 200;
  const baseline = index % 5 === 4 ? 0 : 1; // 160 of 200 easy, 80 of 100 hard
  return { id: `case-${index}`, tags: [isHard ? "hard" : "easy"], baseline, candidates: [baseline, baseline] };
});
for (const which of [0, 1] as const) {
  const flip = (baseline: number, isHard: boolean, count: number, offset: number): void => {
    const found = CASES.filter((one) => one.baseline === baseline && (one.tags[0] === "hard") === isHard);
    for (let i = 0; i < count; i++) found[(offset + i * 3) % found.length]!.candidates[which] = 1 - baseline;
  };
  flip(1, true, 17, which);
  flip(1, false, 3, 5 * which);
  flip(0, true, 7, which);
}

function question(seed: number, changes: Partial<TrialQuestion<SimulatedCase>> = {}): TrialQuestion<SimulatedCase> {
  return {
    cases: CASES,
    keep: KEEP,
    size: CASES.length,
    alpha: ALPHA,
    drawsMax: CASES.length - 1, // with all of them the answer is exact
    contention: new Contention(),
    random: new Random(seed),
    ...changes,
  };
}

const scoresOf = (which: 0 | 1) => async (batch: readonly SimulatedCase[]) =>
  batch.map(({ baseline, candidates }) => ({ baseline, candidate: candidates[which] }));

function bound(level: number): number {
  return level + 3 * Math.sqrt((level * (1 - level)) / SIMULATIONS);
}

test("the simulated candidates are below the bar by less than a case", () => {
  const sum = (score: (one: SimulatedCase) => number): number => CASES.reduce((total, one) => total + score(one), 0);
  expect(sum(({ baseline }) => baseline)).toBe(240);
  for (const which of [0, 1] as const) expect(sum(({ candidates }) => candidates[which])).toBe(227);
});

test("runPairedTrial() in even order accepts an inferior candidate in at most 2.5 % of trials", async () => {
  let accepted = 0;
  for (let seed = 0; seed < SIMULATIONS; seed++) {
    const untagged = CASES.map((one) => ({ ...one, tags: [] }));
    const { sequence, draws } = await runPairedTrial(question(seed, { cases: untagged }), scoresOf(0));
    expect(draws[0]!.probability).toBe(1 / 300);
    if (sequence.standing === "clears") accepted++;
  }
  expect(accepted / SIMULATIONS).toBeLessThanOrEqual(bound(ALPHA));
});

test("two tries in adaptive order, the second led by the first, accept wrongly in at most 5 % of fits", async () => {
  let wrong = 0;
  let skewed = 0;
  for (let seed = 0; seed < SIMULATIONS; seed++) {
    const contention = new Contention();
    let isAccepted = false;
    for (const which of [0, 1] as const) {
      const random = new Random(seed).fork(`try ${which}`);
      const { sequence, draws } = await runPairedTrial(question(seed, { contention, random }), scoresOf(which));
      isAccepted ||= sequence.standing === "clears";
      const cases = draws.map(({ id }) => CASES[Number(id.slice(5))]!);
      contention.learn(cases, draws);
      if (draws.some(({ probability, least }) => probability > 1.2 * least)) skewed++;
    }
    if (isAccepted) wrong++;
  }
  expect(skewed / (2 * SIMULATIONS)).toBeGreaterThan(0.5); // the order did adapt
  expect(wrong / SIMULATIONS).toBeLessThanOrEqual(bound(2 * ALPHA));
});

test("runPairedTrial() about all cases like these accepts an inferior candidate in at most 2.5 % of samples", async () => {
  let accepted = 0;
  for (let seed = 0; seed < SIMULATIONS; seed++) {
    const random = new Random(seed).fork("sample");
    const sample = Array.from({ length: 300 }, (_, index) => ({
      ...CASES[random.integer(300)]!,
      id: `drawn-${index}`,
    }));
    const asked = question(seed, { cases: sample, size: Infinity, drawsMax: 300 });
    if ((await runPairedTrial(asked, scoresOf(0))).sequence.standing === "clears") accepted++;
  }
  expect(accepted / SIMULATIONS).toBeLessThanOrEqual(bound(ALPHA));
});
