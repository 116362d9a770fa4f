import { expect, test } from "vitest";

import { Random } from "../../support/random.js";
import { monotoneCurve } from "./monotone-curve.js";

test("monotoneCurve() goes straight through points in order and on with its slope", () => {
  const curve = monotoneCurve(
    [
      { x: 2, y: 4 },
      { x: 0, y: 0 },
      { x: 1, y: 1 },
    ],
    0.5,
  );
  expect([-2, 0, 0.5, 1, 1.5, 2, 4].map(curve)).toEqual([-1, 0, 0.5, 1, 2.5, 4, 5]);
});

test("monotoneCurve() pools points out of order by weight, and points at one place", () => {
  const pooled = monotoneCurve(
    [
      { x: 0, y: 3, weight: 3 },
      { x: 1, y: 1 },
      { x: 2, y: 5 },
    ],
    0,
  );
  expect([0, 0.5, 1, 1.5, 2].map(pooled)).toEqual([2.5, 2.5, 2.5, 3.75, 5]);
  const twice = monotoneCurve(
    [
      { x: 1, y: 1 },
      { x: 1, y: 3 },
    ],
    1,
  );
  expect([0, 1, 2].map(twice)).toEqual([1, 2, 3]);
  expect(() => monotoneCurve([], 1)).toThrow(RangeError);
});

test("monotoneCurve() never falls, whatever the points", () => {
  const random = new Random(5);
  for (let run = 0; run < 50; run++) {
    const points = Array.from({ length: 1 + random.integer(8) }, () => ({
      x: random.integer(6),
      y: random.normal(),
      weight: 0.1 + random.next(),
    }));
    const curve = monotoneCurve(points, random.next());
    const values = Array.from({ length: 90 }, (_, i) => curve(i / 10 - 1));
    for (const [i, value] of values.entries()) {
      if (i > 0) expect(value).toBeGreaterThanOrEqual(values[i - 1]! - 1e-12);
    }
  }
});
