import { expect, test } from "vitest";

import type { GgmlType } from "../../../../formats/gguf/ggml-types.js";
import { loadGgml } from "../../../../native/engine.js";
import { dequantize, quantizeRows, validateRows } from "../../../../native/ggml.js";
import { Random } from "../../../../support/random.js";
import { factorize } from "../ldl.js";
import type { Effort, RoundingProblem } from "../problem.js";
import { CODEBOOK_TYPES, codebookFormat } from "./codebook-format.js";
import { evenSigns, packCodebookRows, unpackCodebookRows } from "./codebook-rows.js";
import { codebookOf } from "./codebook.js";
import { solveCodebookRows } from "./solve-codebook-rows.js";

const ggml = loadGgml();
const COLUMNS = 512;

for (const type of CODEBOOK_TYPES) {
  test(`solveCodebookRows() to ${type} is better than ggml in every row, and says by how much`, () => {
    const problem = correlatedProblem(type, 5, "default");
    const solution = solveCodebookRows(ggml, problem);
    expect(validateRows(ggml, type, solution.bytes)).toBe(true);
    const own = lossesOf(problem, solution.bytes);
    const theirs = lossesOf(problem, ggmlRows(problem));
    for (let row = 0; row < problem.rows; row++) {
      expect(Math.abs(solution.losses[row]! / own[row]! - 1)).toBeLessThan(1e-6);
      expect(own[row]! / theirs[row]!).toBeLessThan(0.8);
    }
  });

  // Here, as ggml takes seconds to prepare its encoders for iq2, once per process.
  test(`packCodebookRows() of what unpackCodebookRows() finds in ggml's ${type} gives its bytes`, () => {
    const problem = diagonalProblem(type, 3);
    const bytes = ggmlRows(problem);
    const format = codebookFormat(type)!;
    expect(packCodebookRows(format, unpackCodebookRows(format, bytes, 3, COLUMNS))).toEqual(bytes);
  });

  test(`solveCodebookRows() to ${type} leaves no eight weights that other signs and codewords would fit better`, () => {
    const problem = diagonalProblem(type, 2);
    const { bytes } = solveCodebookRows(ggml, problem);
    const { rows, columns, weights, hessian } = problem;
    const format = codebookFormat(type)!;
    const { isSignCountEven, codeLength, codewords } = format;
    const state = unpackCodebookRows(format, bytes, rows, columns);
    const values = dequantize(ggml, type, bytes, rows * columns);
    const { magnitudes } = codebookOf(ggml, format);
    for (let eight = 0; eight < (rows * columns) / 8; eight += 7) {
      const start = eight * 8;
      const step = state.superScales[start >>> 8]! * (2 * state.scales[Math.floor(start / format.groupWeights)]! + 1);
      const costOf = (j: number, value: number) =>
        hessian[((start + j) % columns) * (columns + 1)]! * (weights[start + j]! - value) ** 2;
      let cost = 0;
      for (let j = 0; j < 8; j++) cost += costOf(j, values[start + j]!);
      let best = Infinity;
      for (let signs = 0; signs < 256; signs++) {
        if (isSignCountEven && evenSigns(signs) !== signs) continue;
        let sum = 0;
        for (let part = 0; part < 8; part += codeLength) {
          let least = Infinity;
          for (let code = 0; code < codewords; code++) {
            let own = 0;
            for (let i = 0; i < codeLength && own < least; i++) {
              const sign = (signs >>> (part + i)) & 1 ? -1 : 1;
              own += costOf(part + i, sign * step * magnitudes[code * codeLength + i]!);
            }
            least = Math.min(least, own);
          }
          sum += least;
        }
        best = Math.min(best, sum);
      }
      expect(cost / best).toBeLessThan(isSignCountEven ? 1.5 : 1 + 1e-6); // pairs of signs may be stuck, single ones can't
    }
  });
}

test("solveCodebookRows() gains with effort, row by row", () => {
  const [fast, medium, high] = (["fast", "default", "high"] as const).map(
    (effort) => solveCodebookRows(ggml, correlatedProblem("iq3_s", 3, effort)).losses,
  );
  for (let row = 0; row < 3; row++) {
    expect(medium![row]).toBeLessThan(fast![row]!);
    expect(high![row]).toBeLessThanOrEqual(medium![row]!);
  }
});

test("solveCodebookRows() treats rows alone: many at once come out as one by one", () => {
  const problem = correlatedProblem("iq2_s", 35, "fast");
  const { bytes, losses } = solveCodebookRows(ggml, problem);
  const rowBytes = bytes.length / 35;
  for (const row of [0, 31, 32, 34]) {
    const weights = problem.weights.slice(row * COLUMNS, (row + 1) * COLUMNS);
    const alone = solveCodebookRows(ggml, { ...problem, weights, rows: 1 });
    expect(alone.bytes).toEqual(bytes.slice(row * rowBytes, (row + 1) * rowBytes));
    expect(alone.losses[0]).toBe(losses[row]);
  }
});

test("solveCodebookRows() rounds zeros to zeros, and one weight alone", () => {
  const problem = diagonalProblem("iq2_xxs", 2);
  problem.weights.fill(0);
  problem.weights[COLUMNS + 100] = 3;
  const { bytes, losses } = solveCodebookRows(ggml, problem);
  const values = dequantize(ggml, "iq2_xxs", bytes, 2 * COLUMNS);
  expect(values.subarray(0, COLUMNS).every((value) => value === 0)).toBe(true);
  expect(losses[0]).toBe(0);
  expect(losses[1]).toBeLessThanOrEqual(lossesOf(problem, ggmlRows(problem))[1]!);
});

test("solveCodebookRows() refuses other types and broken rows", () => {
  const problem = diagonalProblem("iq2_xxs", 1);
  expect(() => solveCodebookRows(ggml, { ...problem, type: "q4_K" })).toThrow('Type "q4_K" has no codebook');
  expect(() => solveCodebookRows(ggml, { ...problem, columns: 288, weights: new Float32Array(288) })).toThrow(
    RangeError,
  );
});

/** Inputs that follow a few common directions, as a layer's do. */
function correlatedProblem(type: GgmlType, rows: number, effort: Effort): RoundingProblem {
  const random = new Random(21);
  const samples = Array.from({ length: 48 }, () => {
    const wave = random.next();
    return Float64Array.from({ length: COLUMNS }, (_, j) => Math.sin(wave * j) + 0.7 * random.normal());
  });
  const hessian = new Float32Array(COLUMNS * COLUMNS);
  for (let i = 0; i < COLUMNS; i++) {
    for (let j = 0; j <= i; j++) {
      const mean = samples.reduce((sum, x) => sum + x[i]! * x[j]!, 0) / samples.length + (i === j ? 0.02 : 0);
      hessian[i * COLUMNS + j] = mean;
      hessian[j * COLUMNS + i] = mean;
    }
  }
  return problemOf(type, rows, effort, hessian);
}

function diagonalProblem(type: GgmlType, rows: number): RoundingProblem {
  const random = new Random(22);
  const hessian = new Float32Array(COLUMNS * COLUMNS);
  for (let j = 0; j < COLUMNS; j++) hessian[j * (COLUMNS + 1)] = 0.2 + random.next();
  return problemOf(type, rows, "default", hessian);
}

function problemOf(type: GgmlType, rows: number, effort: Effort, hessian: Float32Array): RoundingProblem {
  const random = new Random(23);
  const weights = Float32Array.from({ length: rows * COLUMNS }, () => 0.05 * random.normal());
  return { type, weights, rows, columns: COLUMNS, hessian, factor: factorize(hessian, COLUMNS), effort };
}

function ggmlRows({ type, weights, columns, hessian }: RoundingProblem): Uint8Array {
  const importance = Float32Array.from({ length: columns }, (_, j) => hessian[j * (columns + 1)]!);
  return quantizeRows(ggml, type, weights, columns, importance);
}

/** Straight from the definition. */
function lossesOf({ type, weights, rows, columns, hessian }: RoundingProblem, bytes: Uint8Array): number[] {
  const values = dequantize(ggml, type, bytes, rows * columns);
  return Array.from({ length: rows }, (_, row) => {
    const error = Float64Array.from(
      { length: columns },
      (__, j) => weights[row * columns + j]! - values[row * columns + j]!,
    );
    return error.reduce(
      (loss, a, i) => loss + a * error.reduce((sum, b, j) => sum + hessian[i * columns + j]! * b, 0),
      0,
    );
  });
}
