// The learning rate over a run.
import { expect, test } from "vitest";

import { type ScheduleSettings, learningRate } from "./schedule.js";

const settings: ScheduleSettings = {
  kind: "cosine",
  rate: 1,
  steps: 110,
  warmupSteps: 10,
  finalShare: 0.1,
  decayShare: 0.2,
};
const rates = (change: Partial<ScheduleSettings>, steps: number[]): number[] =>
  steps.map((step) => Number(learningRate(step, { ...settings, ...change }).toFixed(6)));

test("every schedule rises in a line to the highest rate", () => {
  for (const kind of ["cosine", "warmup-stable-decay", "constant"] as const)
    expect(rates({ kind }, [1, 5, 10])).toEqual([0.1, 0.5, 1]);
});

test("a cosine is halfway in the middle and ends at its last share", () => {
  expect(rates({}, [60, 110, 200])).toEqual([0.55, 0.1, 0.1]);
});

test("a stable rate decays in a line over the last steps", () => {
  expect(rates({ kind: "warmup-stable-decay", finalShare: 0 }, [50, 88, 99, 110])).toEqual([1, 1, 0.5, 0]);
});

test("a constant rate stays, and without warm-up it starts at its height", () => {
  expect(rates({ kind: "constant", warmupSteps: 0 }, [1, 110])).toEqual([1, 1]);
});
