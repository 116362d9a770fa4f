import { expect, test } from "vitest";

import { correlatedHessian, trainedRows } from "../../../../test/rounding-problems.js";
import { Random } from "../../../support/random.js";
import { factorize } from "./ldl.js";
import { driftOf, retarget } from "./retarget.js";
import { RoundingKernel } from "./rounding-kernel.js";

const kernel = RoundingKernel.load();

test("driftOf() is the transpose of C − H", () => {
  const drift = driftOf(Float32Array.of(5, 7, 9, 11), Float32Array.of(1, 2, 2, 3), 2);
  expect([...drift]).toEqual([4, 7, 5, 8]);
});

test("retarget() of one column, by hand: half the input takes twice the weight", () => {
  // x = 2, x̂ = 1: C = 2, H = 1, and w C / H = 2 w
  const rows = Float32Array.of(3, -4);
  retarget(rows, driftOf(Float32Array.of(2), Float32Array.of(1), 1), factorize(Float32Array.of(1), 1), 1);
  expect([...rows]).toEqual([6, -8]);
});

test("retarget() goes where Σ ‖W x − Q x̂‖² is least", () => {
  const { rows, columns, inputs, drifted, hessian, drift } = driftedInputs(6);
  const targets = rows.slice();
  retarget(targets, drift, factorize(hessian, columns), 1);
  const least = missed(rows, targets, inputs, drifted, columns);
  expect(least).toBeLessThan(0.8 * missed(rows, rows, inputs, drifted, columns));
  for (let i = 0; i < targets.length; i++) {
    for (const step of [-1e-3, 1e-3]) {
      const moved = targets.slice();
      moved[i]! += step;
      expect(missed(rows, moved, inputs, drifted, columns)).toBeGreaterThan(least);
    }
  }
});

test("retarget() goes a share of the way; none leaves rows as they are, bit for bit", () => {
  const { rows, columns, hessian, drift } = driftedInputs(8);
  const factor = factorize(hessian, columns);
  const [none, half, whole] = [0, 0.5, 1].map((share) => {
    const moved = rows.slice();
    retarget(moved, drift, factor, share);
    return moved;
  });
  expect(none).toEqual(rows);
  half!.forEach((value, i) => expect(value).toBeCloseTo((rows[i]! + whole![i]!) / 2, 5));
  const kept = rows.slice();
  kernel.setHessian(hessian, columns);
  kernel.retarget(kept, drift, 0);
  expect(kept).toEqual(rows);
});

test("retarget() leaves rows whose inputs have not drifted", () => {
  const hessian = correlatedHessian(new Random(5), 16);
  const rows = trainedRows(new Random(6), 2, 16);
  const moved = rows.slice();
  retarget(moved, driftOf(hessian, hessian, 16), factorize(hessian, 16), 1);
  expect(moved).toEqual(rows);
});

test("the kernel's retarget() goes where retarget() goes, for any number of rows and columns", () => {
  for (const [count, columns] of [
    [1, 5],
    [4, 32],
    [7, 67],
  ] as const) {
    const { rows, hessian, drift } = driftedInputs(columns, count);
    const [plain, ours] = [rows.slice(), rows.slice()];
    retarget(plain, drift, factorize(hessian, columns), 0.7);
    kernel.setHessian(hessian, columns);
    kernel.retarget(ours, drift, 0.7);
    const size = Math.max(...plain.map(Math.abs));
    expect(plain).not.toEqual(rows);
    ours.forEach((value, i) => expect(Math.abs(value - plain[i]!) / size).toBeLessThan(1e-4));
  }
});

/** Inputs of the original, the same a little off, and their moments. */
function driftedInputs(columns: number, count = 2) {
  const random = new Random(7);
  const samples = 8 * columns;
  const inputs = Float64Array.from({ length: samples * columns }, () => random.normal());
  const drifted = inputs.map(
    (value, i) => 0.8 * value + 0.3 * inputs[(i + 1) % inputs.length]! + 0.2 * random.normal(),
  );
  const moment = (a: Float64Array, b: Float64Array) =>
    Float32Array.from({ length: columns * columns }, (_, at) => {
      const [i, j] = [Math.floor(at / columns), at % columns];
      let sum = 0;
      for (let t = 0; t < samples; t++) sum += a[t * columns + i]! * b[t * columns + j]!;
      return sum / samples;
    });
  const hessian = moment(drifted, drifted);
  const drift = driftOf(moment(inputs, drifted), hessian, columns);
  return { rows: trainedRows(random, count, columns, 1), columns, inputs, drifted, hessian, drift };
}

/** Σ ‖W x − Q x̂‖² */
function missed(
  rows: Float32Array,
  targets: Float32Array,
  inputs: Float64Array,
  drifted: Float64Array,
  columns: number,
): number {
  let sum = 0;
  for (let t = 0; t < inputs.length; t += columns) {
    for (let row = 0; row < rows.length; row += columns) {
      let difference = 0;
      for (let j = 0; j < columns; j++) {
        difference += rows[row + j]! * inputs[t + j]! - targets[row + j]! * drifted[t + j]!;
      }
      sum += difference ** 2;
    }
  }
  return sum;
}
