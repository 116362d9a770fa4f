import { describe, expect, test } from "vitest";

import { correlatedHessian, diagonalOf, identity, rowLosses, trainedRows } from "../../../../test/rounding-problems.js";
import { type GgmlType, rowSizeBytes } from "../../../formats/gguf/ggml-types.js";
import { loadGgml } from "../../../native/engine.js";
import { dequantize, quantizeRows, validateRows } from "../../../native/ggml.js";
import { Random } from "../../../support/random.js";
import type { Effort, RoundingSolution } from "./problem.js";
import { isSolvable, keepBetterRows, roundRows } from "./round-rows.js";
import { RoundingKernel } from "./rounding-kernel.js";
import { scalarFormat } from "./scalar-format.js";
import { SCALAR_LAYOUTS, type ScalarType } from "./scalar-layouts.js";

const ggml = loadGgml();
const kernel = RoundingKernel.load();
const TYPES = Object.keys(SCALAR_LAYOUTS) as ScalarType[];

test("isSolvable() knows scalar types and those of a codebook", () => {
  expect((["q4_K", "iq4_nl", "iq2_xs", "iq3_s", "f16", "mxfp4", "q8_K"] as GgmlType[]).map(isSolvable)).toEqual([
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

// Seeded: each round draws how many rows and columns, what kind of Hessian, what kind of weights, how much effort.
describe.each(TYPES)("roundRows() to %s", (type) => {
  test("is sound, says what it loses and is in no row worse than ggml's own rounding", () => {
    const random = new Random(1).fork(type);
    for (let round = 0; round < 12; round++) {
      const problem = drawProblem(random, type);
      const { columns, weights, hessian, rows } = problem;
      const solution = solve(problem);
      expect(solution.bytes.length).toBe(rows * rowSizeBytes(type, columns));
      expect(validateRows(ggml, type, solution.bytes)).toBe(true);
      const values = dequantize(ggml, type, solution.bytes, rows * columns);
      expect(values.every(Number.isFinite)).toBe(true);
      const losses = rowLosses(weights, values, hessian, columns);
      const powers = rowLosses(weights, new Float32Array(weights.length), hessian, columns);
      losses.forEach((loss, row) => {
        expect(Math.abs(solution.losses[row]! - loss)).toBeLessThanOrEqual(1e-4 * loss + 1e-9 * powers[row]!);
      });
      const theirs = ggmlLosses(problem);
      losses.forEach((loss, row) => {
        if (Number.isFinite(theirs[row]))
          expect(loss).toBeLessThanOrEqual(theirs[row]! * (1 + 1e-5) + 1e-9 * powers[row]!);
      });
    }
  });

  test("gives finite values where ggml's own rounding gives infinity", () => {
    const columns = 256;
    const weights = trainedRows(new Random(2), 2, columns, 2 ** 24);
    weights[300] = -(2 ** 28);
    const problem = { type, rows: 2, columns, weights, hessian: identity(columns), effort: "high" as const };
    const { bytes, losses } = solve(problem);
    expect(validateRows(ggml, type, bytes)).toBe(true);
    expect(losses.every(Number.isFinite)).toBe(true);
    const nothing = rowLosses(weights, new Float32Array(weights.length), problem.hessian, columns);
    losses.forEach((loss, row) => expect(loss).toBeLessThan(nothing[row]!));
  });
});

test("roundRows() keeps what is on the grid already, to the bit", () => {
  for (const type of TYPES) {
    const columns = 256;
    const bytes = quantizeRows(ggml, type, trainedRows(new Random(3), 3, columns), columns);
    const weights = dequantize(ggml, type, bytes, 3 * columns);
    const problem = { type, rows: 3, columns, weights, hessian: correlatedHessian(new Random(4), columns) };
    const values = dequantize(ggml, type, solve({ ...problem, effort: "default" }).bytes, 3 * columns);
    const theirs = ggmlLosses({ ...problem, effort: "default" });
    const losses = rowLosses(weights, values, problem.hessian, columns);
    theirs.forEach((loss, row) => loss === 0 && expect(losses[row], `${type}, row ${row}`).toBe(0));
  }
});

test("roundRows() rounds to a codebook, no worse than ggml, and never to infinity", () => {
  const columns = 256;
  const hessian = correlatedHessian(new Random(5), columns);
  const problem = { type: "iq2_xxs" as const, rows: 2, columns, hessian, effort: "default" as const };
  const weights = trainedRows(new Random(6), 2, columns);
  const { losses } = solve({ ...problem, weights });
  const theirs = ggmlLosses({ ...problem, weights });
  losses.forEach((loss, row) => expect(loss).toBeLessThanOrEqual(theirs[row]!));
  const huge = trainedRows(new Random(6), 2, columns, 1e7);
  expect(validateRows(ggml, "iq2_xxs", solve({ ...problem, weights: huge }).bytes)).toBe(true);
});

test.each(["f16", "bf16", "mxfp4", "iq1_s"] as const)(
  "roundRows() to %s, which has no solver, is ggml's rounding",
  (type) => {
    const columns = 256;
    const weights = trainedRows(new Random(7), 2, columns);
    const problem = { type, rows: 2, columns, weights, hessian: correlatedHessian(new Random(5), columns) };
    const { bytes, losses } = solve({ ...problem, effort: "default" });
    expect(bytes).toEqual(quantizeRows(ggml, type, weights, columns, diagonalOf(problem.hessian, columns)));
    ggmlLosses({ ...problem, effort: "default" }).forEach((loss, row) => {
      expect(Math.abs(losses[row]! / loss - 1)).toBeLessThan(1e-3);
    });
  },
);

test("roundRows() refuses rows that are not whole blocks", () => {
  const weights = new Float32Array(32);
  const problem = { rows: 1, columns: 32, weights, hessian: identity(32), effort: "default" as const };
  expect(() => solve({ ...problem, type: "q4_K" })).toThrow(RangeError);
});

test("keepBetterRows() takes each row from whichever lost less, and nothing from one that lost no number", () => {
  const first = { bytes: Uint8Array.of(1, 1, 2, 2, 3, 3), losses: Float64Array.of(5, 5, 5) };
  const second = { bytes: Uint8Array.of(7, 7, 8, 8, 9, 9), losses: Float64Array.of(6, 4, Number.NaN) };
  const kept = keepBetterRows(first, second, 2);
  expect([...kept.bytes]).toEqual([1, 1, 8, 8, 3, 3]);
  expect([...kept.losses]).toEqual([5, 4, 5]);
});

interface Problem {
  type: GgmlType;
  rows: number;
  columns: number;
  weights: Float32Array;
  hessian: Float32Array;
  effort: Effort;
}

function drawProblem(random: Random, type: ScalarType): Problem {
  const block = scalarFormat(type)!.blockWeights;
  const columns = block * (1 + random.integer(block === 256 ? 2 : 9));
  const rows = 1 + random.integer(6);
  const hessian = drawHessian(random, columns);
  const weights = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) weights.set(drawRow(random, columns), row * columns);
  const effort = (["fast", "default", "high"] as const)[random.integer(3)]!;
  return { type, rows, columns, weights, hessian, effort };
}

function drawHessian(random: Random, columns: number): Float32Array {
  const kind = random.integer(4);
  if (kind === 0) return identity(columns);
  const outlier = kind === 1 ? 100 : 1;
  const scale = 10 ** (random.integer(9) - 6);
  const samples = kind === 2 ? 8 : 64; // eight inputs say nothing of most directions
  return correlatedHessian(random, columns, { outlier, scale, samples });
}

function drawRow(random: Random, columns: number): Float32Array {
  const size = 10 ** (random.integer(9) - 6);
  const kind = random.integer(6);
  if (kind === 0) return new Float32Array(columns).fill(random.integer(2) ? size * random.normal() : 0);
  const row = trainedRows(random, 1, columns, size);
  if (kind === 1) for (let j = 0; j < columns; j++) row[j]! += 3 * size; // all of one sign
  if (kind === 2) row[random.integer(columns)]! *= 1000;
  if (kind === 3) for (let j = 0; j < columns; j++) if (random.integer(4)) row[j] = 0; // mostly zeros
  return row;
}

function solve({ type, rows, columns, weights, hessian, effort }: Problem): RoundingSolution {
  kernel.setHessian(hessian, columns);
  const importance = diagonalOf(hessian, columns);
  return roundRows(ggml, kernel, { type, weights, rows, columns, importance, effort });
}

function ggmlLosses({ type, weights, columns, hessian }: Problem): Float64Array {
  const bytes = quantizeRows(ggml, type, weights, columns, diagonalOf(hessian, columns));
  return rowLosses(weights, dequantize(ggml, type, bytes, weights.length), hessian, columns);
}
