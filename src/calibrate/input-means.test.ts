import { expect, test } from "vitest";

import { Random } from "../support/random.js";
import { inputMeans } from "./input-means.js";
import type { InputStatistics } from "./paired-sums.js";

const COLUMNS = 12;
const WEIGHT = "blk.0.ffn_up_exps.weight";
type Draw = (random: Random, matrix: number) => number[];

/** Sums of `counts[e]` rows for expert e; x̂ and x are the same rows. */
function statistics(counts: number[], draw: Draw, isRouted = true): InputStatistics {
  const random = new Random(7);
  const size = COLUMNS ** 2;
  const hessian = new Float32Array(counts.length * size);
  counts.forEach((count, matrix) => {
    for (let row = 0; row < count; row++) {
      const x = draw(random, matrix);
      for (let at = 0; at < size; at++) hessian[matrix * size + at]! += x[Math.floor(at / COLUMNS)]! * x[at % COLUMNS]!;
    }
  });
  const rows = Float64Array.from(counts);
  return {
    name: WEIGHT,
    weights: [WEIGHT],
    layer: 0,
    node: undefined,
    columns: COLUMNS,
    matrices: counts.length,
    isRouted,
    valuesPerToken: COLUMNS,
    hessian,
    cross: hessian.slice(),
    inputSums: new Float64Array(COLUMNS * counts.length),
    originalSums: undefined,
    counts: rows,
    pairedCounts: rows,
  };
}

/** Column j has the variance j + 1. */
const alike: Draw = (random) => Array.from({ length: COLUMNS }, (_, j) => random.normal() * Math.sqrt(j + 1));
/** Each expert has one direction of its own. */
const apart: Draw = (random, expert) =>
  Array.from({ length: COLUMNS }, (_, j) => random.normal() * (j === expert ? 6 : 1));

const error = (found: Float32Array, wanted: (i: number, j: number) => number): number =>
  found.reduce((total, value, at) => total + (value - wanted(Math.floor(at / COLUMNS), at % COLUMNS)) ** 2, 0);

test("inputMeans() divides by the count where no router picks", () => {
  const found = statistics([40], alike, false);
  const { priorTokens, hessian, cross } = inputMeans(found);
  expect(priorTokens).toBe(0);
  expect([...hessian(0)]).toEqual([...found.hessian].map((value) => Math.fround(value / 40)));
  const into = new Float32Array(COLUMNS ** 2);
  expect(cross(0, into)).toBe(into);
  expect(into).toEqual(hessian(0));
});

test("inputMeans() brings a rare expert nearer to the truth where experts see the same", () => {
  const found = statistics([400, 300, 5, 0], alike);
  const { hessian, cross } = inputMeans(found);
  const truth = (i: number, j: number): number => (i === j ? i + 1 : 0);
  const own = found.hessian.slice(2 * COLUMNS ** 2, 3 * COLUMNS ** 2).map((value) => value / 5);
  expect(error(hessian(2), truth)).toBeLessThan(error(own, truth) / 5);
  expect(error(hessian(3), truth)).toBeLessThan(error(own, truth) / 5);
  expect(cross(2)).toEqual(hessian(2));
});

test("inputMeans() leaves often chosen experts what sets them apart", () => {
  const { hessian, priorTokens } = inputMeans(statistics([4000, 3000, 5], apart));
  expect(priorTokens).toBeLessThan(COLUMNS * 4);
  expect(hessian(0)[0]).toBeGreaterThan(33);
  expect(hessian(1)[0]).toBeLessThan(2);
});

test("inputMeans() refuses the mean of no rows", () => {
  expect(() => inputMeans(statistics([0], alike, false)).hessian(0)).toThrow(RangeError);
});
