// The plain solver and the kernel by the same standards; that they agree is in rounding-kernel.test.ts.
import { describe, expect, test } from "vitest";

import {
  correlatedHessian,
  diagonalOf,
  identity,
  rowLosses,
  total,
  trainedRows,
} from "../../../../test/rounding-problems.js";
import { loadGgml } from "../../../native/engine.js";
import { dequantize, quantizeRows, validateRows } from "../../../native/ggml.js";
import { Random } from "../../../support/random.js";
import { factorize } from "./ldl.js";
import type { Effort, RoundingProblem } from "./problem.js";
import { RoundingKernel } from "./rounding-kernel.js";
import { type ScalarFormat, packRows, scalarFormat, unpackRows } from "./scalar-format.js";
import { SCALAR_LAYOUTS, type ScalarType } from "./scalar-layouts.js";
import { type ScalarSolution, solveScalarRows } from "./solve-scalar.js";

const ggml = loadGgml();
const kernel = RoundingKernel.load();
const TYPES = Object.keys(SCALAR_LAYOUTS) as ScalarType[];
const EFFORTS: readonly Effort[] = ["fast", "default", "high"];

const solvers: [string, (format: ScalarFormat, problem: RoundingProblem) => ScalarSolution][] = [
  ["solveScalarRows()", solveScalarRows],
  [
    "RoundingKernel",
    (format, { hessian, columns, weights, rows, effort }) => {
      kernel.setHessian(hessian, columns);
      return kernel.round(format, weights, rows, effort);
    },
  ],
];

describe.each(solvers)("%s", (_, solve) => {
  // 32 columns that cost the same, the first two correlated: H₀₁ = ½. The others are whole numbers from −8 to 7, so the
  // scale is 1. D₁ = 1, U₀₁ = ½: the first rounds down and leaves 0.4; the second becomes 0.4 + ½ · 0.4 and rounds up.
  test("rounds an example by hand: what one weight loses, its neighbour makes up for", () => {
    const problem = byHand();
    const format = scalarFormat("q4_0")!;
    const fed = solve(format, { ...problem, effort: "fast" });
    expect([...fed.state.superScales]).toEqual([1]);
    const values = decoded("q4_0", fed, 32);
    expect([...values.subarray(0, 2)]).toEqual([0, 1]);
    expect(values.subarray(2)).toEqual(problem.weights.subarray(2));
    // 0.4² + (−0.6)² + 2 · ½ · 0.4 · (−0.6); each rounded for itself: 0.4² + 0.4² + 2 · ½ · 0.4² = 0.48
    expect(fed.losses[0]).toBeCloseTo(0.28, 6);
  });

  // Codes are settled then: g = e H = (0.1, −0.4) moves none of them by half a step. Along the levels l the slope is
  // l · g = −0.4 and the curvature Σ l² + 1 = 591, so the best scale is 1 − 0.4 / 591, for which float16 has 1 − 2⁻¹¹.
  test("moves the scale of the example to the float16 that is best", () => {
    const { losses, state } = solve(scalarFormat("q4_0")!, byHand());
    const step = 2 ** -11;
    expect([...state.superScales]).toEqual([1 - step]);
    expect(losses[0]).toBeCloseTo(0.28 - 2 * step * 0.4 + step ** 2 * 591, 6);
  });

  test.each(TYPES)("to %s: codes and scales that can be stored, and the losses that ggml's decoder shows", (type) => {
    const format = scalarFormat(type)!;
    const problem = correlatedProblem(type, 5);
    for (const effort of EFFORTS) {
      const solution = solve(format, { ...problem, effort });
      const bytes = packRows(format, solution.state, 5, problem.columns); // refuses what is out of range or no float16
      expect(validateRows(ggml, type, bytes)).toBe(true);
      const values = dequantize(ggml, type, bytes, 5 * problem.columns);
      const losses = rowLosses(problem.weights, values, problem.hessian, problem.columns);
      losses.forEach((loss, row) => expect(solution.losses[row]! / loss).toBeCloseTo(1, 4));
    }
  });

  test.each(TYPES)("to %s: descent lowers the loss of every row, and more of it never raises it", (type) => {
    const format = scalarFormat(type)!;
    const problem = correlatedProblem(type, 5);
    const [fast, medium, high] = EFFORTS.map((effort) => solve(format, { ...problem, effort }).losses);
    for (let row = 0; row < 5; row++) {
      expect(medium![row]).toBeLessThan(fast![row]!);
      expect(high![row]).toBeLessThanOrEqual(medium![row]! * (1 + 1e-6));
    }
  });

  test.each(TYPES)("to %s: far better than ggml's own rounding where inputs are correlated", (type) => {
    const problem = correlatedProblem(type, 6);
    const { weights, columns, hessian } = problem;
    const own = quantizeRows(ggml, type, weights, columns, diagonalOf(hessian, columns));
    const theirs = rowLosses(weights, dequantize(ggml, type, own, weights.length), hessian, columns);
    expect(total(solve(scalarFormat(type)!, problem).losses) / total(theirs)).toBeLessThan(0.5);
  });

  test.each(TYPES)("to %s: rows on its grid come back as they are", (type) => {
    const format = scalarFormat(type)!;
    const { columns, hessian, factor, weights } = correlatedProblem(type, 4);
    const onGrid = dequantize(ggml, type, quantizeRows(ggml, type, weights, columns), weights.length);
    const solution = solve(format, { type, weights: onGrid, rows: 4, columns, hessian, factor, effort: "default" });
    const relative =
      total(solution.losses) / total(rowLosses(onGrid, new Float32Array(onGrid.length), hessian, columns));
    const others = solve(format, { type, weights, rows: 4, columns, hessian, factor, effort: "default" }).losses;
    const usual = total(others) / total(rowLosses(weights, new Float32Array(weights.length), hessian, columns));
    // Integer scales are found only by chance where a block's largest was not the largest that there is.
    expect(relative).toBeLessThan(SCALAR_LAYOUTS[type].groups ? usual : 1e-6);
  });

  test.each(TYPES)("to %s: weights of any size give finite values, and zeros stay zeros", (type) => {
    const format = scalarFormat(type)!;
    const { columns, hessian, factor } = correlatedProblem(type, 1);
    const sizes = [0, 1e-30, 1e-12, 1e-8, 1e-6, 6e4, 1e6, 2 ** 26];
    const random = new Random(9).fork(type);
    const weights = new Float32Array(sizes.length * columns);
    sizes.forEach((size, row) => weights.set(trainedRows(random, 1, columns, size), row * columns));
    for (const effort of EFFORTS) {
      const solution = solve(format, { type, weights, rows: sizes.length, columns, hessian, factor, effort });
      const bytes = packRows(format, solution.state, sizes.length, columns);
      const values = dequantize(ggml, type, bytes, weights.length);
      expect(values.every(Number.isFinite)).toBe(true);
      expect(solution.losses.every(Number.isFinite)).toBe(true);
      expect(values.subarray(0, columns).every((value) => value === 0)).toBe(true);
      expect(solution.losses[0]).toBe(0);
      // The rest is better than nothing, where it is not too small for float16.
      const nothing = rowLosses(weights, new Float32Array(weights.length), hessian, columns);
      const losses = rowLosses(weights, values, hessian, columns);
      for (let row = 4; row < sizes.length; row++) expect(losses[row]).toBeLessThan(nothing[row]!);
    }
  });

  test.each(TYPES)("to %s: rows of one value, and a column of zeros", (type) => {
    const format = scalarFormat(type)!;
    const { columns, hessian, factor, weights } = correlatedProblem(type, 3);
    weights.fill(0.3, 0, columns);
    weights.fill(-0.3, columns, 2 * columns);
    for (let row = 0; row < 3; row++) weights[row * columns + 17] = 0;
    const problem = { type, weights, rows: 3, columns, hessian, factor, effort: "default" } as const;
    const { state, losses } = solve(format, problem);
    const values = dequantize(ggml, type, packRows(format, state, 3, columns), weights.length);
    const found = rowLosses(weights, values, hessian, columns);
    const nothing = rowLosses(weights, new Float32Array(weights.length), hessian, columns);
    losses.forEach((loss, row) => {
      expect(Math.abs(loss - found[row]!) / nothing[row]!).toBeLessThan(1e-6);
      expect(loss / nothing[row]!).toBeLessThan(0.1);
    });
  });
});

test("factors, not only Hessians, decide: with no correlation each weight goes to its nearest value", () => {
  const weights = trainedRows(new Random(3), 2, 64);
  const hessian = identity(64);
  const factor = factorize(hessian, 64);
  const format = scalarFormat("q8_0")!;
  const solution = solveScalarRows(format, {
    type: "q8_0",
    weights,
    rows: 2,
    columns: 64,
    hessian,
    factor,
    effort: "fast",
  });
  const values = decoded("q8_0", solution, 128);
  values.forEach((value, i) => {
    const scale = Math.abs(solution.state.superScales[Math.floor(i / 32)]!);
    const inReach = Math.abs(weights[i]!) < 127.4 * scale;
    if (inReach) expect(Math.abs(value - weights[i]!)).toBeLessThanOrEqual(scale * 0.5000001);
  });
});

test("unpackRows() of what was packed is what the solver found", () => {
  for (const type of TYPES) {
    const format = scalarFormat(type)!;
    const problem = correlatedProblem(type, 2);
    const { state } = solveScalarRows(format, problem);
    expect(unpackRows(format, packRows(format, state, 2, problem.columns), 2, problem.columns)).toEqual(state);
  }
});

function byHand(): RoundingProblem {
  const hessian = identity(32);
  hessian[1] = 0.5;
  hessian[32] = 0.5;
  const weights = Float32Array.from({ length: 32 }, (_, j) => (j < 2 ? 0.4 : ((j - 2) % 15) - 8));
  return { type: "q4_0", weights, rows: 1, columns: 32, hessian, factor: factorize(hessian, 32), effort: "default" };
}

function correlatedProblem(type: ScalarType, rows: number): RoundingProblem {
  const columns = SCALAR_LAYOUTS[type].blockWeights === 256 ? 256 : 160;
  const hessian = correlatedHessian(new Random(1), columns);
  const weights = trainedRows(new Random(2).fork(type), rows, columns);
  return { type, weights, rows, columns, hessian, factor: factorize(hessian, columns), effort: "default" };
}

function decoded(type: ScalarType, { state }: ScalarSolution, count: number): Float32Array {
  const rows = count / state.codes.length < 1 ? 1 : count / state.codes.length;
  const columns = state.codes.length / rows;
  return dequantize(ggml, type, packRows(scalarFormat(type)!, state, rows, columns), count);
}
