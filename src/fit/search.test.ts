import { expect, test } from "vitest";

import type { PlannedCandidate } from "./candidates.js";
import type { Quality } from "./certificate.js";
import type { EvidencePlan } from "./evidence-plan.js";
import { planEvidence } from "./evidence-plan.js";
import { search } from "./search.js";
import { endsThenHalves, paretoFront } from "./search-order.js";
import type { Part } from "./yardstick.js";

const PLAN: EvidencePlan = {
  screens: 24,
  selections: 8,
  mixTries: 0,
  confirmations: 2,
  screenSize: 4,
  selectionSize: 16,
  confirmationSize: 32,
};

/** Candidates of rising size; those in `poor` are far from the baseline for their size. */
function candidatesOf(count: number, poor: readonly number[] = []): (PlannedCandidate & { loss: number })[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `c${String(i).padStart(2, "0")}`,
    name: `c${i}`,
    isBaseline: false,
    sizeBytes: 100 + i,
    loss: (count - i) / 100 + (poor.includes(i) ? 0.5 : 0),
    predictedLoss: count - i,
  })) as unknown as (PlannedCandidate & { loss: number })[];
}

/** Answers from `loss`, and counts what was bought. */
function fakeMeasurements(half = 0.001, shift: Partial<Record<Part, number>> = {}) {
  const bought: string[] = [];
  return {
    bought,
    screen: async (candidate: PlannedCandidate) => {
      bought.push(`screen ${candidate.name}`);
      return { mean: (candidate as { loss?: number }).loss!, standardError: 0.001, tokens: 100 };
    },
    measure: async (candidate: PlannedCandidate, part: Part): Promise<Quality> => {
      bought.push(`${part} ${candidate.name}`);
      const mean = 1 - (candidate as { loss?: number }).loss! - (shift[part] ?? 0);
      return { metric: "perplexityRatio", part, kept: { mean, low: mean - half, high: mean + half } };
    },
  };
}

const cost = ({ sizeBytes }: PlannedCandidate): number => sizeBytes;

test("search() finds the cheapest candidate that clears the bar", async () => {
  for (const keep of [0.85, 0.9, 0.95, 0.98]) {
    const candidates = candidatesOf(20);
    const outcome = await search({ candidates, cost, keep, plan: PLAN }, fakeMeasurements());
    const wanted = candidates.find(({ loss }) => 1 - loss - 0.001 >= keep);
    expect(outcome.winner?.name, `keep ${keep}`).toBe(wanted?.name);
  }
});

test("search() leaves out what another beats and buys few selections", async () => {
  const candidates = candidatesOf(20, [10, 12, 14]);
  const measurements = fakeMeasurements();
  const outcome = await search({ candidates, cost, keep: 0.9, plan: PLAN }, measurements);
  expect(outcome.winner?.name).toBe("c11");
  expect(outcome.front.map(({ name }) => name)).not.toContain("c12");
  expect(measurements.bought.filter((what) => what.startsWith("selection")).length).toBeLessThanOrEqual(6);
});

test("search() looks at nothing that has the blocks of a hopeless candidate", async () => {
  const candidates = candidatesOf(20);
  for (const [i, candidate] of candidates.entries()) Object.assign(candidate, { blockBits: i < 8 ? 2 : 4 });
  const measurements = fakeMeasurements();
  const outcome = await search({ candidates, cost, keep: 0.9, plan: PLAN, hopelessDivergence: 0.15 }, measurements);
  expect(outcome.winner?.name).toBe("c11");
  const screened = measurements.bought
    .filter((what) => what.startsWith("screen "))
    .map((what) => Number(what.slice(8)));
  expect(screened.filter((i) => i < 8)).toEqual([0]); // the first of the kind showed it
});

test("search() screens what is expected on the front before the rest", async () => {
  const candidates = candidatesOf(20);
  for (const [i, candidate] of candidates.entries()) if (i % 2 === 1) Object.assign(candidate, { predictedLoss: 99 });
  const measurements = fakeMeasurements();
  await search({ candidates, cost, keep: 0.9, plan: { ...PLAN, screens: 10 } }, measurements);
  const screened = measurements.bought
    .filter((what) => what.startsWith("screen "))
    .map((what) => Number(what.slice(8)));
  expect(screened.every((i) => i % 2 === 0)).toBe(true);
});

test("search() screens neighbours when it could not screen all", async () => {
  const candidates = candidatesOf(40);
  const outcome = await search({ candidates, cost, keep: 0.9, plan: { ...PLAN, screens: 20 } }, fakeMeasurements());
  const wanted = candidates.findIndex(({ loss }) => 1 - loss - 0.001 >= 0.9);
  const found = candidates.findIndex((candidate) => candidate === outcome.winner);
  expect(found - wanted).toBeGreaterThanOrEqual(0);
  expect(found - wanted).toBeLessThanOrEqual(1);
});

test("search() tries the next dearer candidate when confirmation refuses the first, and no third", async () => {
  const near = fakeMeasurements(0.001, { confirmation: 0.0095 });
  const outcome = await search({ candidates: candidatesOf(20), cost, keep: 0.9, plan: PLAN }, near);
  expect(near.bought.filter((what) => what.startsWith("confirmation"))).toEqual([
    "confirmation c11",
    "confirmation c12",
  ]);
  expect(outcome.winner?.name).toBe("c12");
  const far = fakeMeasurements(0.001, { confirmation: 0.05 });
  expect((await search({ candidates: candidatesOf(20), cost, keep: 0.9, plan: PLAN }, far)).winner).toBeUndefined();
  expect(far.bought.filter((what) => what.startsWith("confirmation"))).toHaveLength(2);
});

test("search() has no winner when nothing clears, and names the closest", async () => {
  const outcome = await search({ candidates: candidatesOf(10), cost, keep: 0.999, plan: PLAN }, fakeMeasurements());
  expect(outcome.winner).toBeUndefined();
  expect(outcome.closest?.name).toBe("c9");
});

test("search() accepts the baseline unmeasured when nothing leaner clears", async () => {
  const candidates = candidatesOf(10);
  const last = candidates.at(-1) as { isBaseline: boolean };
  last.isBaseline = true;
  const measurements = fakeMeasurements();
  const outcome = await search({ candidates, cost, keep: 0.999, plan: PLAN }, measurements);
  expect(outcome.winner?.name).toBe("c9");
  expect(measurements.bought.some((what) => what.endsWith(" c9"))).toBe(false);
});

test("search() falls back on the baseline when confirmation refuses what selection chose", async () => {
  const candidates = candidatesOf(20);
  (candidates.at(-1) as { isBaseline: boolean }).isBaseline = true;
  const far = fakeMeasurements(0.001, { confirmation: 0.05 });
  const outcome = await search({ candidates, cost, keep: 0.9, plan: PLAN }, far);
  expect(far.bought.filter((what) => what.startsWith("confirmation"))).toHaveLength(2);
  expect(outcome.winner?.name).toBe("c19");
});

test("search() confirms nothing twice and stops when evidence is refused", async () => {
  const refusing = { ...fakeMeasurements(), measure: async () => undefined };
  const outcome = await search({ candidates: candidatesOf(10), cost, keep: 0.9, plan: PLAN }, refusing);
  expect(outcome.winner).toBeUndefined();
  expect(outcome.selected.size).toBe(0);
});

test("endsThenHalves() visits every index once, both ends first", () => {
  for (const count of [0, 1, 2, 3, 10, 33]) {
    const order = endsThenHalves(count);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
  }
  expect(endsThenHalves(9).slice(0, 3)).toEqual([8, 0, 4]);
});

test("paretoFront() keeps what nothing beats", () => {
  const points = [
    [1, 9],
    [2, 9],
    [3, 5],
    [4, 6],
    [5, 1],
  ] as const;
  expect(
    paretoFront(
      points,
      ([x]) => x,
      ([, y]) => y,
    ),
  ).toEqual([
    [1, 9],
    [3, 5],
    [5, 1],
  ]);
});

test("search() goes on past a candidate that the engine can't run", async () => {
  const candidates = candidatesOf(20);
  const measurements = fakeMeasurements();
  const failing = {
    ...measurements,
    measure: async (candidate: PlannedCandidate, part: Part) =>
      candidate.name === "c11" ? ("error" as const) : measurements.measure(candidate, part),
  };
  expect((await search({ candidates, cost, keep: 0.9, plan: PLAN }, failing)).winner?.name).toBe("c12");
});

test("planEvidence() stays within the evaluations and does not look at a clock", () => {
  const question = {
    budgetSeconds: 600,
    evaluations: 40,
    cores: 2,
    parametersActive: 134e6,
    tokensEach: 512,
    selectionAvailable: 50,
    confirmationAvailable: 100,
    candidates: 48,
  };
  const plan = planEvidence(question);
  for (const evaluations of [8, 9, 12, 40, 100]) {
    const { screens, selections, confirmations } = planEvidence({ ...question, evaluations });
    expect(screens + selections + confirmations + 3).toBeLessThanOrEqual(evaluations);
  }
  expect(plan).toEqual(planEvidence(question));
  expect(plan.confirmationSize).toBeGreaterThan(plan.screenSize);
  expect(planEvidence({ ...question, budgetSeconds: 60 }).confirmationSize).toBeLessThan(plan.confirmationSize);
  expect(planEvidence({ ...question, candidates: 1 }).screens).toBe(1);
});
