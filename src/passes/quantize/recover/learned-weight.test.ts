// What learns of a rounded tensor, apart from any model: it starts where it was, stays in its type, and follows a gradient.
import { expect, test } from "vitest";

import { type GgmlType, rowSizeBytes } from "../../../formats/gguf/ggml-types.js";
import { loadGgml } from "../../../native/engine.js";
import { dequantize, quantizeRows } from "../../../native/ggml.js";
import { nearestFloat16 } from "../../../support/float16.js";
import { Random } from "../../../support/random.js";
import { type RowsState, scalarFormat, stateValues, unpackRows } from "../round/scalar-format.js";
import { SCALAR_LAYOUTS } from "../round/scalar-layouts.js";
import { BlockScales } from "./block-scales.js";
import { GridWeight } from "./grid-weight.js";
import type { LearnedWeight, RecoveryRates } from "./learned-weight.js";
import { VectorWeight } from "./vector-weight.js";

const ggml = loadGgml();
const [COLUMNS, ROWS] = [512, 4];
const random = new Random(4);
const original = Float32Array.from({ length: COLUMNS * ROWS }, () => random.normal());
const RATES: RecoveryRates = { code: 0.05, scale: 0.003 };

const decoded = (type: GgmlType, bytes: Uint8Array): Float32Array => dequantize(ggml, type, bytes, original.length);
const errorOf = (values: Float32Array, target: Float32Array): number =>
  Math.hypot(...values.map((value, i) => value - target[i]!));

const STEPS = 200;

/** Takes ever smaller steps along the gradient of half the squared distance to a target. */
function approach(
  weight: LearnedWeight,
  start: Uint8Array,
  values: (bytes: Uint8Array) => Float32Array,
  target: Float32Array,
  rates = RATES,
) {
  let bytes = start;
  for (let step = 1; step <= STEPS; step++) {
    const share = 1 - (step - 1) / STEPS;
    const gradient = values(bytes).map((value, i) => value - target[i]!);
    bytes = weight.update(gradient, step, { code: share * rates.code, scale: share * rates.scale });
  }
  return { bytes, error: errorOf(values(bytes), target) };
}

test.each(Object.keys(SCALAR_LAYOUTS) as GgmlType[])("a weight on the grid of %s starts as it was rounded", (type) => {
  const bytes = quantizeRows(ggml, type, original, COLUMNS);
  const weight = new GridWeight(scalarFormat(type)!, bytes, original, COLUMNS);
  expect(weight.update(new Float32Array(original.length), 1, RATES)).toEqual(bytes);
});

test.each(Object.keys(SCALAR_LAYOUTS) as GgmlType[])(
  "a weight on the grid of %s moves to other codes, and to other scales, and keeps the number of its bytes",
  (type) => {
    const format = scalarFormat(type)!;
    const bytes = quantizeRows(ggml, type, original, COLUMNS);
    const reached = (change: (state: RowsState) => void, rates: RecoveryRates): number => {
      const state = unpackRows(format, bytes, ROWS, COLUMNS);
      change(state);
      const target = stateValues(format, state, ROWS, COLUMNS);
      const weight = new GridWeight(format, bytes, original, COLUMNS);
      const { bytes: moved, error } = approach(weight, bytes, (b) => decoded(type, b), target, rates);
      expect(moved.byteLength).toBe(ROWS * rowSizeBytes(type, COLUMNS));
      return error / errorOf(decoded(type, bytes), target);
    };
    const otherCodes = ({ codes }: RowsState): void => {
      for (let i = 0; i < codes.length; i += 3) codes[i]! += codes[i] === 0 ? 1 : -1;
    };
    const otherScales = (state: RowsState): void => {
      state.superScales = state.superScales.map((scale) => nearestFloat16(1.06 * scale));
    };
    expect(reached(otherCodes, { code: 0.05, scale: 0 })).toBeLessThan(0.1);
    expect(reached(otherScales, { code: 0, scale: 0.003 })).toBeLessThan(0.1);
  },
);

test.each(["iq3_xxs", "iq3_s"] as const)("block scales of %s move to another target", (type) => {
  const bytes = quantizeRows(ggml, type, original, COLUMNS);
  const target = decoded(type, bytes).map((value) => 1.1 * value);
  const weight = new BlockScales(ggml, type, bytes);
  expect(weight.update(new Float32Array(original.length), 1, RATES)).toEqual(bytes);
  const { error } = approach(new BlockScales(ggml, type, bytes), bytes, (b) => decoded(type, b), target);
  expect(error).toBeLessThan(0.05 * errorOf(decoded(type, bytes), target));
});

test("a vector moves to another target", () => {
  const floats = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);
  const target = original.map((value, i) => (i % 2 ? 1.1 : 0.95) * value);
  const start = new Uint8Array(original.slice().buffer);
  const { error } = approach(new VectorWeight(original), start, floats, target);
  expect(error).toBeLessThan(0.2 * errorOf(original, target));
});
