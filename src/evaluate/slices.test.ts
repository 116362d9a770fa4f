import { expect, test } from "vitest";

import { Random } from "../support/random.js";
import { slicesOf } from "./slices.js";

/** 400 cases of four tags; all losses lie under one. */
function drawn(seed: number, count: number) {
  const cases = Array.from({ length: 400 }, (_, index) => ({
    tag: `tag-${index % 4}`,
    baseline: 1,
    candidate: index % 4 === 2 && index < 200 ? 0 : 1,
  }));
  const order = new Random(seed).shuffled(cases).slice(0, count);
  return order.map((one, index) => ({ ...one, probability: 1 / (400 - index), least: 1 / (400 - index) }));
}

test("slicesOf() names the slice that lost and leaves the others whole", () => {
  const slices = slicesOf(drawn(1, 160), ({ tag }) => [tag], 400, 0.025);
  expect(slices.map(({ tag }) => tag)).toHaveLength(4);
  expect(slices[0]!.tag).toBe("tag-2");
  expect(slices[0]!.kept.high).toBeLessThan(0.9);
  for (const { kept } of slices.slice(1)) expect(kept).toMatchObject({ mean: 1 });
  expect(slices.reduce((sum, { cases }) => sum + cases, 0)).toBe(160);
});

test("slicesOf() holds all intervals at once in 95 % of trials", () => {
  let missed = 0;
  for (let seed = 0; seed < 200; seed++) {
    const slices = slicesOf(drawn(seed, 120), ({ tag }) => [tag], 400, 0.025);
    const isMissed = slices.some(({ tag, kept }) => {
      const truth = tag === "tag-2" ? 0.5 : 1;
      return truth < kept.low || truth > kept.high;
    });
    if (isMissed) missed++;
  }
  expect(missed / 200).toBeLessThanOrEqual(0.05 + 3 * Math.sqrt((0.05 * 0.95) / 200));
});

test("slicesOf() of all cases is exact", () => {
  const slices = slicesOf(drawn(3, 400), ({ tag }) => [tag], 400, 0.025);
  expect(slices[0]).toEqual({ tag: "tag-2", cases: 100, kept: { mean: 0.5, low: 0.5, high: 0.5 } });
});
