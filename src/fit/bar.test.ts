import { expect, test } from "vitest";

import { Random } from "../support/random.js";
import { casesToSettle, judge, keptInterval, shareOfScoreKept, tokensToSettle } from "./bar.js";

test("judge() compares the whole interval with the bar", () => {
  expect(judge({ mean: 1, low: 0.99, high: 1.01 }, 0.99)).toBe("clears");
  expect(judge({ mean: 0.97, low: 0.95, high: 0.989 }, 0.99)).toBe("fails");
  expect(judge({ mean: 1, low: 0.98, high: 1.02 }, 0.99)).toBe("undecided");
});

test("shareOfScoreKept() of equal answers is 1, and narrows with the number of cases", () => {
  const few = shareOfScoreKept([1, 1, 1, 0], [1, 1, 1, 0]).kept;
  const many = shareOfScoreKept(Array(1000).fill(1), Array(1000).fill(1)).kept;
  expect(few.mean).toBe(1);
  expect(few.low).toBeLessThan(0.5);
  expect(many.low).toBeGreaterThan(0.99);
});

test("shareOfScoreKept() relates the loss to the baseline's score", () => {
  expect(shareOfScoreKept([1, 1, 0, 0], [1, 0, 0, 0])).toMatchObject({ kept: { mean: 0.5 }, won: 0, lost: 0.25 });
  expect(() => shareOfScoreKept([0, 0], [0, 1])).toThrow(/scores 0/);
  expect(() => shareOfScoreKept([1], [])).toThrow(/Cannot pair/);
});

test.each([
  [0.9, 0.05, 0, 300],
  [0.9, 0.05, 0.03, 300],
  [0.6, 0.02, 0, 400],
  [0.97, 0.1, 0.06, 100],
  [0.5, 0.6, 0.5, 200],
  [0.3, 0.5, 0.2, 300],
])(
  "shareOfScoreKept() is wrong about a candidate on the bar in at most 1 of 40 samples (right %f, lost %f, won %f, %i cases)",
  (right, lost, won, cases) => {
    const random = new Random(7);
    const keep = (right * (1 - lost) + (1 - right) * won) / right;
    const runs = 2000;
    let accepted = 0;
    for (let run = 0; run < runs; run++) {
      const baseline = Array.from({ length: cases }, () => (random.next() < right ? 1 : 0));
      const candidate = baseline.map((score) => (random.next() < (score === 1 ? lost : won) ? 1 - score : score));
      if (judge(shareOfScoreKept(baseline, candidate).kept, keep) === "clears") accepted++;
    }
    expect(accepted / runs).toBeLessThanOrEqual(0.025 + 3 * Math.sqrt((0.025 * 0.975) / runs)); // three standard errors of the simulation
  },
);

test("tokensToSettle() grows with the interval and shrinks with the distance from the bar", () => {
  const kept = { mean: 1, low: 0.98, high: 1.02 };
  expect(tokensToSettle(kept, 0.99, 100)).toBe(480); // 1.2 · (0.02 / 0.01)² · 100
  expect(tokensToSettle(kept, 0.9, 100)).toBe(101);
  expect(tokensToSettle(kept, 1, 100)).toBe(100_000);
});

test("casesToSettle() is the least number of cases whose interval leaves the bar", () => {
  const flawless = { won: 0, lost: 0, baselineMean: 0.98, cases: 200 };
  const cases = casesToSettle(flawless, 0.99);
  expect(keptInterval({ ...flawless, cases }).low).toBeGreaterThanOrEqual(0.99);
  expect(keptInterval({ ...flawless, cases: cases - 1 }).low).toBeLessThan(0.99);
  expect(casesToSettle({ won: 0, lost: 0.01, baselineMean: 1, cases: 100 }, 0.99)).toBe(100_000); // it sits on the bar
});
