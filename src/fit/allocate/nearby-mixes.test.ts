import { expect, test } from "vitest";

import { Random } from "../../support/random.js";
import { type TensorOptions, chooseTypes } from "./choose-types.js";
import { nearbyMixes } from "./nearby-mixes.js";

const random = new Random(9);
const tensors = Array.from({ length: 12 }, (_, layer): TensorOptions => {
  const [level, weights] = [Math.exp(random.normal()), 256 * (1 + random.integer(8))];
  const option = (type: "q3_K" | "q4_K" | "q6_K", bits: number) =>
    ({ type, bytes: (weights * bits) / 8, loss: level * 4 ** -bits }) as const;
  return {
    name: `blk.${layer}.attn_q.weight`,
    options: [option("q3_K", 3.5), option("q4_K", 4.5), option("q6_K", 6.5)],
  };
});
const request = { tensors, budgetBytes: 9000, fixedBytes: 100 };
const chosen = chooseTypes(request);

test("nearbyMixes() gives different mixes within the budget, best first, with their totals", () => {
  const mixes = nearbyMixes(request, chosen.types, 6);
  expect(mixes).toHaveLength(6);
  const outcomes = mixes.map(({ types }) => tensors.map(({ name }) => types.get(name)).join());
  expect(new Set([...outcomes, [...chosen.types.values()].join()]).size).toBe(7);
  for (const [i, { types, changed, bytes, loss }] of mixes.entries()) {
    const options = tensors.map(({ name, options }) => options.find(({ type }) => type === types.get(name))!);
    expect(bytes).toBe(100 + options.reduce((total, option) => total + option.bytes, 0));
    expect(bytes).toBeLessThanOrEqual(request.budgetBytes);
    expect(loss).toBeCloseTo(
      options.reduce((total, option) => total + option.loss, 0),
      12,
    );
    expect(loss).toBeGreaterThanOrEqual(chosen.loss * (1 - 1e-12));
    expect(changed).toEqual(changed.filter((name) => types.get(name) !== chosen.types.get(name)));
    if (i > 0) expect(loss).toBeGreaterThanOrEqual(mixes[i - 1]!.loss);
  }
});

test("nearbyMixes() has nothing to offer at the largest mix, and refuses types that are no option", () => {
  const largest = chooseTypes({ ...request, budgetBytes: 1e9 });
  expect(nearbyMixes(request, largest.types, 5)).toEqual([]);
  expect(() => nearbyMixes(request, new Map(), 5)).toThrow("without a type");
});
