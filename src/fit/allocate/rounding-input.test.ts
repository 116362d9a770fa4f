import { expect, test } from "vitest";

import { correlatedHessian, trainedRows } from "../../../test/rounding-problems.js";
import type { InputStatistics } from "../../calibrate/paired-sums.js";
import { factorize } from "../../passes/quantize/round/ldl.js";
import { retarget } from "../../passes/quantize/round/retarget.js";
import { Random } from "../../support/random.js";
import {
  DAMPING,
  TIED_DAMPING,
  diagonalInputs,
  forgetReleased,
  lazyInputs,
  plainInput,
  releaseInputs,
  roundingInputs,
} from "./rounding-input.js";

test("roundingInputs() are means, damped by a share of the mean diagonal; importance is not", () => {
  const [input, ...others] = roundingInputs(statisticsOf({ hessian: [8, 2, 2, 4], counts: [2] }), 0);
  expect(others).toEqual([]);
  const damping = DAMPING * 3;
  expect([...input!.hessian]).toEqual([4 + damping, 1, 1, 2 + damping].map(Math.fround));
  expect([...input!.importance]).toEqual([4, 2]);
  expect(input!.drift).toBeUndefined();
  expect(input!.hessian.buffer).toBeInstanceOf(SharedArrayBuffer);
});

test("roundingInputs() of an output matrix that is the embedding, too, also weigh lookups", () => {
  const hessian = [8, 2, 2, 4];
  const tied = statisticsOf({ hessian, counts: [2], weights: ["token_embd.weight"] });
  expect([...roundingInputs(tied, 0)[0]!.hessian]).toEqual([4 + 3 * TIED_DAMPING, 1, 1, 2 + 3 * TIED_DAMPING]);
  const apart = statisticsOf({ hessian, counts: [2], weights: ["output.weight"] });
  expect([...roundingInputs(apart, 0)[0]!.hessian]).toEqual([4 + 3 * DAMPING, 1, 1, 2 + 3 * DAMPING].map(Math.fround));
});

test("roundingInputs() of fewer tokens than columns can be factorized", () => {
  const hessian = correlatedHessian(new Random(1), 64, { samples: 5, damping: 0 });
  expect(() => factorize(hessian, 64)).toThrow(/not positive definite/);
  const [input] = roundingInputs(statisticsOf({ columns: 64, hessian, counts: [1] }), 0);
  expect(() => factorize(input!.hessian, 64)).not.toThrow();
});

test("roundingInputs() of each matrix, or of some, each with a key of its own", () => {
  const statistics = statisticsOf({ matrices: 2, hessian: [1, 0, 0, 1, 6, 0, 0, 3], counts: [1, 3] });
  const both = roundingInputs(statistics, 0);
  expect(both.map(({ importance }) => [...importance])).toEqual([
    [1, 1],
    [2, 1],
  ]);
  const [second] = roundingInputs(statistics, 0, [1]);
  expect(second!.hessian).toEqual(both[1]!.hessian);
  expect(new Set([...both, second!].map(({ key }) => key)).size).toBe(3);
});

test("lazyInputs() are those of roundingInputs(), made when asked for, under one key each", () => {
  const statistics = statisticsOf({ matrices: 2, hessian: [1, 0, 0, 1, 6, 0, 0, 3], counts: [1, 3] });
  const lazy = lazyInputs(statistics);
  expect(lazy.length).toBe(2);
  const [first, second] = [lazy.at(0)!, lazy.at(1)!];
  expect([first, second].map(({ hessian }) => hessian)).toEqual(
    roundingInputs(statistics, 0).map(({ hessian }) => hessian),
  );
  expect(lazy.at(1)).toBe(second);
  expect(lazy.at(0)).not.toBe(first);
  expect(lazy.at(0)!.key).toBe(first.key);
  expect(first.key).not.toBe(second.key);
  expect(lazy.at(2)).toBeUndefined();
});

test("roundingInputs() where nothing came in are plain: every column counts the same", () => {
  const [input] = roundingInputs(statisticsOf({ hessian: [0, 0, 0, 0], counts: [0] }), 1);
  expect([...input!.hessian]).toEqual([1, 0, 0, 1]);
  expect([...input!.importance]).toEqual([1, 1]);
  expect(plainInput(2)).toEqual(input);
});

test("inputs that take the place of released ones hold nothing of them", () => {
  const hessian = [8, 2, 2, 4];
  releaseInputs(roundingInputs(statisticsOf({ hessian, cross: [9, 9, 9, 9], counts: [2] }), 0.5));
  expect([...plainInput(2).hessian]).toEqual([1, 0, 0, 1]);
  releaseInputs(roundingInputs(statisticsOf({ hessian, counts: [2] }), 0));
  expect(diagonalInputs("x", Float32Array.of(1, 3), 2).at(0)!.hessian[1]).toBe(0);
  forgetReleased();
});

test("roundingInputs() have the drift of paired sums, as retarget() takes it", () => {
  // x̂ = x / 2 of one column over four tokens: Σ x̂² = 4, Σ x x̂ = 8, so targets double but for damping.
  const statistics = statisticsOf({ columns: 1, hessian: [4], cross: [8], counts: [4] });
  const [input] = roundingInputs(statistics, 0.25);
  expect([input!.driftShare, [...input!.drift!]]).toEqual([0.25, [1]]);
  const rows = Float32Array.of(3);
  retarget(rows, input!.drift!, factorize(input!.hessian, 1), 1);
  expect(rows[0]).toBeCloseTo(3 + 3 / (1 + DAMPING), 5);
  expect(roundingInputs(statistics, 0)[0]!.drift).toBeUndefined();
});

test("roundingInputs() of inputs that have not drifted leave targets as they are, damping or not", () => {
  const hessian = correlatedHessian(new Random(2), 16, { damping: 0 });
  const [input] = roundingInputs(statisticsOf({ columns: 16, hessian, cross: hessian, counts: [7] }), 1);
  const rows = trainedRows(new Random(3), 2, 16);
  const moved = rows.slice();
  retarget(moved, input!.drift!, factorize(input!.hessian, 16), 1);
  expect(moved).toEqual(rows);
});

function statisticsOf(facts: {
  columns?: number;
  matrices?: number;
  hessian: ArrayLike<number>;
  cross?: ArrayLike<number>;
  counts: number[];
  weights?: string[];
}): InputStatistics {
  const { columns = 2, matrices = 1, hessian, cross, counts, weights = ["blk.0.attn_q.weight"] } = facts;
  return {
    name: weights[0]!,
    weights,
    layer: 0,
    columns,
    matrices,
    isRouted: false,
    valuesPerToken: columns,
    node: undefined,
    hessian: Float32Array.from(hessian),
    cross: cross && Float32Array.from(cross),
    inputSums: new Float64Array(columns * matrices),
    originalSums: undefined,
    counts: Float64Array.from(counts),
    pairedCounts: Float64Array.from(counts),
  };
}
