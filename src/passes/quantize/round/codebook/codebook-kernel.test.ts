import { describe, expect, test } from "vitest";

import { correlatedHessian, diagonalOf, rowLosses, total, trainedRows } from "../../../../../test/rounding-problems.js";
import { rowSizeBytes } from "../../../../formats/gguf/ggml-types.js";
import { loadGgml } from "../../../../native/engine.js";
import { dequantize, quantizeRows, validateRows } from "../../../../native/ggml.js";
import { Random } from "../../../../support/random.js";
import type { Effort } from "../problem.js";
import { roundRows } from "../round-rows.js";
import { RoundingKernel } from "../rounding-kernel.js";
import { CODEBOOK_TYPES, type CodebookType, codebookFormat } from "./codebook-format.js";
import { CodebookKernel } from "./codebook-kernel.js";
import { solveCodebookRows } from "./solve-codebook-rows.js";

const ggml = loadGgml();
const kernel = RoundingKernel.load();

for (const type of CODEBOOK_TYPES) {
  test(`round() to ${type} loses what its plain twin loses, within half a percent, and says so`, () => {
    const [rows, columns] = [19, 768]; // more than a slab, and no whole fours
    for (const effort of ["fast", "default"] as const) {
      const weights = trainedRows(new Random(1), rows, columns);
      const { solution, hessian } = roundAll(type, weights, rows, columns, effort);
      const problem = { type, weights, rows, columns, hessian, factor: kernel.factor, effort };
      const twin = solveCodebookRows(ggml, problem);
      expect(Math.abs(total(solution.losses) / total(twin.losses) - 1)).toBeLessThan(0.005);
      expect(validateRows(ggml, type, solution.bytes)).toBe(true);
      const values = dequantize(ggml, type, solution.bytes, rows * columns);
      rowLosses(weights, values, hessian, columns).forEach((loss, row) => {
        expect(Math.abs(solution.losses[row]! / loss - 1)).toBeLessThan(1e-4);
      });
    }
  });

  test(`round() to ${type} treats rows alone`, () => {
    const [rows, columns] = [18, 256];
    const weights = trainedRows(new Random(2), rows, columns);
    const { solution } = roundAll(type, weights, rows, columns, "default");
    const size = rowSizeBytes(type, columns);
    for (const row of [0, 3, 15, 17]) {
      const one = weights.slice(row * columns, (row + 1) * columns);
      const alone = CodebookKernel.beside(kernel).round(ggml, codebookFormat(type)!, one, 1, "default");
      expect(alone.bytes).toEqual(solution.bytes.slice(row * size, (row + 1) * size));
      expect(alone.losses[0]).toBe(solution.losses[row]);
    }
  });

  test(`round() to ${type} gives zeros for zeros, and something finite for any size of weight`, () => {
    const columns = 512;
    const weights = new Float32Array(6 * columns);
    [1e-9, 1e-4, 1, 1e4, 2 ** 27].forEach((size, row) => {
      weights.set(trainedRows(new Random(3), 1, columns, size), (row + 1) * columns);
    });
    weights[5 * columns + 7] = -(2 ** 28);
    const { solution, hessian } = roundAll(type, weights, 6, columns, "default");
    expect(validateRows(ggml, type, solution.bytes)).toBe(true);
    const values = dequantize(ggml, type, solution.bytes, weights.length);
    expect(values.subarray(0, columns).every((value) => value === 0)).toBe(true);
    const powers = rowLosses(weights, new Float32Array(weights.length), hessian, columns);
    rowLosses(weights, values, hessian, columns).forEach((loss, row) => expect(loss).toBeLessThanOrEqual(powers[row]!));
  });
}

describe.each(CODEBOOK_TYPES)("roundRows() to %s", (type) => {
  test.each(["fast", "default", "high"] as const)("with %s effort is in no row worse than ggml's own", (effort) => {
    const columns = 256;
    const weights = oddRows(new Random(4), columns);
    const rows = weights.length / columns;
    const hessian = correlatedHessian(new Random(5), columns, { outlier: 100, samples: 8 });
    kernel.setHessian(hessian, columns);
    const importance = diagonalOf(hessian, columns);
    const { bytes, losses } = roundRows(ggml, kernel, { type, weights, rows, columns, importance, effort });
    const own = rowLosses(weights, dequantize(ggml, type, bytes, weights.length), hessian, columns);
    const theirs = dequantize(ggml, type, quantizeRows(ggml, type, weights, columns, importance), weights.length);
    rowLosses(weights, theirs, hessian, columns).forEach((loss, row) => {
      expect(own[row], `row ${row}`).toBeLessThanOrEqual(loss * (1 + 1e-5));
      expect(Math.abs(losses[row]! / own[row]! - 1)).toBeLessThan(1e-4);
    });
  });
});

test("round() refuses rows that are not whole blocks", () => {
  expect(() => roundAll("iq2_s", new Float32Array(288), 1, 288, "fast")).toThrow(RangeError);
});

function roundAll(type: CodebookType, weights: Float32Array, rows: number, columns: number, effort: Effort) {
  const hessian = correlatedHessian(new Random(5), columns);
  kernel.setHessian(hessian, columns);
  const solution = CodebookKernel.beside(kernel).round(ggml, codebookFormat(type)!, weights, rows, effort);
  return { solution, hessian };
}

/** Rows on which a solver may stumble: one weight is nearly all, most are zero, all are of one sign, or of one size. */
function oddRows(random: Random, columns: number): Float32Array {
  const rows = trainedRows(random, 40, columns);
  for (let row = 0; row < 40; row++) {
    const own = rows.subarray(row * columns, (row + 1) * columns);
    if (row % 4 === 0) own[random.integer(columns)]! *= 1000;
    if (row % 4 === 1) own.forEach((value, j) => (own[j] = random.integer(8) ? 0 : value));
    if (row % 4 === 2) own.forEach((value, j) => (own[j] = Math.abs(value)));
    if (row % 4 === 3) own.forEach((value, j) => (own[j] = 0.02 * Math.sign(value)));
  }
  return rows;
}
