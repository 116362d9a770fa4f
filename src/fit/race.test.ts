import { expect, test } from "vitest";

import type { PlannedCandidate } from "./candidates.js";
import type { Quality } from "./certificate.js";
import { race } from "./race.js";
import type { Measurements } from "./search.js";
import type { Part } from "./yardstick.js";

const PLAN = {
  screens: 24,
  selections: 8,
  mixTries: 5,
  confirmations: 2,
  screenSize: 4,
  selectionSize: 16,
  confirmationSize: 32,
} as const;

type Fake = PlannedCandidate & { kept: number };

/** Candidates of one model: sizes rise from `size`, and what is kept falls from the original's `kept` with each step down. */
function family(name: string, size: number, kept: number, count = 6, isBaseline = false): Fake[] {
  const base = { path: name, name, sha256: name };
  return Array.from({ length: count }, (_, i) => {
    const isOriginal = i === count - 1;
    const step = count - 1 - i;
    return {
      id: `${name}${i}`,
      name: isOriginal ? "original" : `q${i}`,
      base,
      isBaseline: isBaseline && isOriginal,
      sizeBytes: size + i,
      predictedLoss: step,
      blockBits: i,
      kept: kept - step * 0.01,
    };
  }) as unknown as Fake[];
}

function fakeMeasurements(shift: Partial<Record<Part, number>> = {}) {
  const bought: string[] = [];
  const measurements: Measurements = {
    screen: async (candidate) => {
      bought.push(`screen ${candidate.id}`);
      return { mean: candidate.predictedLoss / 100, standardError: 0.001, tokens: 100 };
    },
    measure: async (candidate, part): Promise<Quality> => {
      bought.push(`${part} ${candidate.id}`);
      const mean = (candidate as Fake).kept - (shift[part] ?? 0);
      return { metric: "score", part, kept: { mean, low: mean - 0.001, high: mean + 0.001 } };
    },
  };
  return { bought, measurements };
}

const cost = ({ sizeBytes }: PlannedCandidate): number => sizeBytes;
const ask = (candidates: Fake[], measurements: Measurements, keep = 0.9) =>
  race({ candidates, cost, keep, plan: PLAN }, measurements);

test("race() finds the cheapest of several models that clears", async () => {
  const { measurements } = fakeMeasurements();
  const candidates = [...family("big", 100, 1, 8, true), ...family("student", 20, 0.93)];
  const { winner } = await ask(candidates, measurements);
  expect(winner?.id).toBe("student3"); // keeps 0.91
});

test("race() drops a model whose best misses the bar, for the price of one trial, and says why", async () => {
  const { bought, measurements } = fakeMeasurements();
  const candidates = [...family("big", 100, 1, 8, true), ...family("poor", 20, 0.5)];
  const { winner, dropped } = await ask(candidates, measurements);
  expect(winner?.base.path).toBe("big");
  expect(bought.filter((what) => what.includes("poor"))).toEqual(["selection poor5"]);
  expect([...dropped].filter(([{ base }]) => base.path === "poor")).toHaveLength(5);
  expect(dropped.get(candidates.find(({ id }) => id === "poor0")!)).toMatch(/original, the best of this model, misses/);
});

test("race() never runs what costs more than a candidate of another model that has cleared", async () => {
  const { bought, measurements } = fakeMeasurements();
  const candidates = [...family("big", 100, 1, 8, true), ...family("student", 20, 0.95)];
  const { dropped } = await ask(candidates, measurements);
  expect(bought.filter((what) => what.includes("big"))).toEqual([]);
  expect(dropped.get(candidates[0]!)).toMatch(/student: q\d costs no more and has cleared the bar/);
});

test("race() gives the last try to the next dearer that cleared, then falls back on the baseline", async () => {
  const { bought, measurements } = fakeMeasurements({ confirmation: 0.5 });
  const candidates = [...family("big", 100, 1, 8, true), ...family("student", 20, 0.95)];
  const { winner } = await ask(candidates, measurements);
  expect(winner?.isBaseline).toBe(true);
  expect(bought.filter((what) => what.startsWith("confirmation"))).toHaveLength(2);
});

test("race() without a baseline that fits confirms the most promising, and has no winner when it fails", async () => {
  const { measurements } = fakeMeasurements({ confirmation: 0.5 });
  const { winner, closest } = await ask([...family("a", 100, 0.95), ...family("b", 50, 0.94)], measurements);
  expect(winner).toBeUndefined();
  expect(closest).toBeDefined();
});

test("race() with one model is search()", async () => {
  const { measurements } = fakeMeasurements();
  const { winner } = await ask(family("big", 100, 0.95, 8, true), measurements);
  expect(winner?.id).toBe("big3"); // keeps 0.91; of big2, 0.90, the lower end misses
});

/** Mixes of a model whose sizes rise from `size`, each keeping a hundredth more than the one before. */
function mixesOf(model: readonly Fake[], size: number, kept: number, count: number): Fake[] {
  return Array.from({ length: count }, (_, i) => ({
    ...model[0]!,
    id: `mix${i}`,
    name: `mix@${i}`,
    isBaseline: false,
    mix: { size: `${i}`, fileBytes: size + i, calibration: "" },
    sizeBytes: size + i,
    predictedLoss: count - i,
    kept: kept + i * 0.01,
  }));
}

test("race() finds the smallest mix that clears by halving, and makes no other", async () => {
  const { bought, measurements } = fakeMeasurements();
  const big = family("big", 100, 1, 8, true);
  const { winner } = await ask([...big, ...mixesOf(big, 40, 0.78, 32)], measurements);
  expect(winner?.name).toBe("mix@13"); // keeps 0.91
  const made = new Set(bought.filter((what) => what.includes("mix")).map((what) => what.split(" ")[1]));
  expect(made.size).toBeLessThanOrEqual(PLAN.mixTries);
});

test("race() never makes a mix that costs as much as what has cleared, and says so", async () => {
  const { bought, measurements } = fakeMeasurements();
  const big = family("big", 10, 1, 8, true);
  const mixes = mixesOf(big, 40, 0.9, 8);
  const { winner, dropped } = await ask([...big, ...mixes], measurements);
  expect(winner?.id).toBe("big0");
  expect(bought.filter((what) => what.includes("mix"))).toEqual([]);
  expect(dropped.get(mixes[0]!)).toBe("what costs no more, q0, has cleared the bar");
});

test("race() spends no trial on a mix that diverges hopelessly", async () => {
  const { bought, measurements } = fakeMeasurements();
  const big = family("big", 100, 1, 8, true);
  const mixes = mixesOf(big, 40, 0.8, 8); // mix@i diverges by (8 - i) / 100
  await race({ candidates: [...big, ...mixes], cost, keep: 0.9, plan: PLAN, hopelessDivergence: 0.045 }, measurements);
  expect(bought).toContain("screen mix3");
  expect(bought).not.toContain("selection mix3");
});

test("race() of mixes alone confirms the smallest that clears, or has no winner", async () => {
  const { measurements } = fakeMeasurements();
  const mixes = mixesOf(family("big", 100, 1, 8, true), 40, 0.88, 8);
  expect((await ask(mixes, measurements)).winner?.name).toBe("mix@3");
  expect((await ask(mixes.slice(0, 2), measurements)).winner).toBeUndefined();
});

test("race() tries a model's mixes where only a preset of it missed the bar, not where the original did", async () => {
  const big = family("big", 100, 1, 8, true);
  const poor = family("poor", 20, 0.7);
  const mixes = mixesOf(poor, 10, 0.86, 8); // from mix5 on they keep 0.91
  const presets = poor.filter(({ name }) => name !== "original");
  const without = fakeMeasurements();
  const { winner, dropped } = await ask([...big, ...presets, ...mixes], without.measurements);
  expect([winner?.base.path, winner?.name]).toEqual(["poor", "mix@5"]);
  expect(dropped.get(presets[0]!)).toMatch(/q4, the best of this model, misses the bar already/);
  const whole = fakeMeasurements();
  expect((await ask([...big, ...poor, ...mixes], whole.measurements)).winner?.base.path).toBe("big");
  expect(whole.bought.filter((what) => what.includes("mix"))).toEqual([]);
});

test("race() leaves out a model's mixes where the largest misses the bar", async () => {
  const { bought, measurements } = fakeMeasurements();
  const presets = family("poor", 20, 0.7).slice(0, 3);
  const mixes = mixesOf(presets, 10, 0.5, 8);
  const { winner, dropped } = await ask([...family("big", 100, 1, 8, true), ...presets, ...mixes], measurements);
  expect(winner?.base.path).toBe("big");
  expect(bought.filter((what) => what.includes("mix"))).toEqual(["selection mix7"]);
  expect(dropped.get(mixes[0]!)).toMatch(/mix@7, the largest mix of this model, misses/);
});
