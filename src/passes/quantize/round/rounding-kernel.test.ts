// The kernel against its twins in plain TypeScript.
import { expect, test } from "vitest";

import { correlatedHessian, identity, rowLosses, total, trainedRows } from "../../../../test/rounding-problems.js";
import { loadGgml } from "../../../native/engine.js";
import { quantizeRows } from "../../../native/ggml.js";
import { Random } from "../../../support/random.js";
import type { Effort } from "./problem.js";
import { RoundingKernel } from "./rounding-kernel.js";
import { scalarFormat, stateValues, unpackRows } from "./scalar-format.js";
import { SCALAR_LAYOUTS, type ScalarType } from "./scalar-layouts.js";
import { solveScalarRows } from "./solve-scalar.js";

const ggml = loadGgml();
const kernel = RoundingKernel.load();
const TYPES = Object.keys(SCALAR_LAYOUTS) as ScalarType[];

// A choice between two codes or scales may hang on the last bit of single precision, and all that follows with it; so the
// sum over many rows is compared, and most values.
test.each(TYPES.flatMap((type) => (["fast", "default"] as const).map((effort) => [type, effort] as const)))(
  "the kernel rounds to %s at effort %s as solveScalarRows() does",
  (type, effort) => {
    const columns = columnsOf(type);
    const rows = 31; // the last tile has three
    const format = scalarFormat(type)!;
    const random = new Random(1).fork(type);
    const hessian = correlatedHessian(random, columns);
    const weights = trainedRows(random, rows, columns);
    kernel.setHessian(hessian, columns);
    const { factor } = kernel;
    const ours = kernel.round(format, weights, rows, effort);
    const plain = solveScalarRows(format, { type, weights, rows, columns, hessian, factor, effort });
    expect(Math.abs(total(ours.losses) / total(plain.losses) - 1)).toBeLessThan(0.005);
    const [ourValues, plainValues] = [ours, plain].map(({ state }) => stateValues(format, state, rows, columns));
    const same = ourValues!.filter((value, i) => value === plainValues![i]).length;
    expect(same / weights.length).toBeGreaterThan(0.97);
  },
);

test.each(TYPES)(
  "the kernel rounds odd rows to %s as solveScalarRows() does, exactly where nothing is close",
  (type) => {
    const columns = columnsOf(type);
    const format = scalarFormat(type)!;
    const random = new Random(2).fork(type);
    const hessian = identity(columns);
    for (let j = 0; j < columns; j++) hessian[j * (columns + 1)] = 0.5 + random.next();
    kernel.setHessian(hessian, columns);
    const { factor } = kernel;
    const tiny = trainedRows(random, 1, columns, 1e-9);
    const huge = trainedRows(random, 1, columns, 1e7);
    const outlier = trainedRows(random, 1, columns);
    outlier[40] = 30;
    const narrow = trainedRows(random, 1, columns, 1e-3).map((value) => value - 0.3);
    const rows = [new Float32Array(columns), tiny, huge, outlier];
    if (format.minMax > 0) rows.push(narrow); // without an offset, the range on either side of zero holds it alike
    const weights = Float32Array.from(rows.flatMap((row) => [...row]));
    const ours = kernel.round(format, weights, rows.length, "default");
    const problem = { type, weights, rows: rows.length, columns, hessian, factor, effort: "default" } as const;
    const plain = solveScalarRows(format, problem);
    const powers = kernel.powers(weights, rows.length);
    plain.losses.forEach((loss, row) => {
      expect(Math.abs(ours.losses[row]! - loss), `row ${row}`).toBeLessThanOrEqual(1e-3 * loss + 1e-6 * powers[row]!);
    });
  },
);

test.each(TYPES)("the kernel descends from ggml's rounding to %s, and says what that loses", (type) => {
  const columns = columnsOf(type);
  const format = scalarFormat(type)!;
  const random = new Random(3).fork(type);
  const hessian = correlatedHessian(random, columns);
  const weights = trainedRows(random, 6, columns);
  kernel.setHessian(hessian, columns);
  const from = unpackRows(format, quantizeRows(ggml, type, weights, columns), 6, columns);
  const given = structuredClone(from);
  const [start, medium, high] = (["fast", "default", "high"] as Effort[]).map((effort) =>
    kernel.round(format, weights, 6, effort, from),
  );
  expect(from).toEqual(given);
  expect(start!.state).toEqual(given);
  for (const { state, losses } of [start!, medium!, high!]) {
    const found = rowLosses(weights, stateValues(format, state, 6, columns), hessian, columns);
    found.forEach((loss, row) => expect(losses[row]! / loss).toBeCloseTo(1, 4));
  }
  for (let row = 0; row < 6; row++) {
    expect(medium!.losses[row]).toBeLessThan(start!.losses[row]!);
    expect(high!.losses[row]).toBeLessThanOrEqual(medium!.losses[row]! * (1 + 1e-6));
  }
});

test("the kernel rounds rows alone: many at once come out as one by one", () => {
  const columns = 96;
  const random = new Random(4);
  kernel.setHessian(correlatedHessian(random, columns), columns);
  const format = scalarFormat("q4_1")!;
  const weights = trainedRows(random, 7, columns);
  const together = kernel.round(format, weights, 7, "default");
  for (let row = 0; row < 7; row++) {
    const alone = kernel.round(format, weights.subarray(row * columns, (row + 1) * columns), 1, "default");
    expect(alone.losses[0]).toBe(together.losses[row]);
    expect(alone.state.codes).toEqual(together.state.codes.slice(row * columns, (row + 1) * columns));
  }
});

test("the kernel forgets the Hessian before, larger or smaller", () => {
  const round = (from: RoundingKernel, columns: number) => {
    const random = new Random(5);
    from.setHessian(correlatedHessian(random, columns), columns);
    return from.round(scalarFormat("q5_0")!, trainedRows(random, 5, columns), 5, "default");
  };
  const fresh = [64, 288, 32].map((columns) => round(RoundingKernel.load(), columns));
  const reused = [64, 288, 32].map((columns) => round(kernel, columns));
  expect(reused).toEqual(fresh);
});

test("powers() is w H wᵀ", () => {
  const random = new Random(6);
  const hessian = correlatedHessian(random, 50);
  const weights = trainedRows(random, 6, 50);
  kernel.setHessian(hessian, 50);
  const expected = rowLosses(weights, new Float32Array(weights.length), hessian, 50);
  kernel.powers(weights, 6).forEach((power, row) => expect(power / expected[row]!).toBeCloseTo(1, 5));
});

function columnsOf(type: ScalarType): number {
  return SCALAR_LAYOUTS[type].blockWeights === 256 ? 512 : 288; // 288 is no multiple of 256
}
