import { describe, expect, test } from "vitest";

import { type GgmlType, rowSizeBytes } from "../../../formats/gguf/ggml-types.js";
import { loadGgml } from "../../../native/engine.js";
import { dequantize, quantizeRows } from "../../../native/ggml.js";
import { toFloat16 } from "../../../support/float16.js";
import { Random } from "../../../support/random.js";
import { emptyRows, packRows, scalarFormat, stateValues, unpackRows } from "./scalar-format.js";
import { SCALAR_LAYOUTS, type ScalarType } from "./scalar-layouts.js";

const engine = loadGgml();
const ROWS = 24;
const COLUMNS = 768;

// [weights per block, per group, levels, first and last level, scale from, scale to, largest min]
const FORMATS: Record<ScalarType, number[]> = {
  q4_0: [32, 32, 16, -8, 7, 1, 1, 0],
  q4_1: [32, 32, 16, 0, 15, 1, 1, 1],
  q5_0: [32, 32, 32, -16, 15, 1, 1, 0],
  q5_1: [32, 32, 32, 0, 31, 1, 1, 1],
  q8_0: [32, 32, 256, -128, 127, 1, 1, 0],
  iq4_nl: [32, 32, 16, -127, 113, 1, 1, 0],
  q2_K: [256, 16, 4, 0, 3, 0, 15, 15],
  q3_K: [256, 16, 8, -4, 3, -32, 31, 0],
  q4_K: [256, 32, 16, 0, 15, 0, 63, 63],
  q5_K: [256, 32, 32, 0, 31, 0, 63, 63],
  q6_K: [256, 16, 64, -32, 31, -128, 127, 0],
  iq4_xs: [256, 32, 16, -127, 113, -32, 31, 0],
};
const TYPES = Object.keys(FORMATS) as ScalarType[];

test("scalarFormat() knows the twelve scalar types and no other", () => {
  expect(Object.keys(SCALAR_LAYOUTS).sort()).toEqual(TYPES.toSorted());
  for (const type of ["f16", "q8_1", "iq2_xs", "iq3_s", "mxfp4", "q8_K"] as GgmlType[]) {
    expect(scalarFormat(type), type).toBeUndefined();
  }
});

describe.each(TYPES)("%s", (type) => {
  const format = scalarFormat(type)!;

  test("scalarFormat() states block, group, levels and ranges", () => {
    const { blockWeights, groupWeights, levels, scaleMin, scaleMax, minMax } = format;
    expect([blockWeights, groupWeights, levels.length, levels[0], levels.at(-1), scaleMin, scaleMax, minMax]).toEqual(
      FORMATS[type],
    );
    expect(levels).toEqual(levels.toSorted());
  });

  test.each([
    ["without importance", undefined],
    ["with importance", Float32Array.from({ length: COLUMNS }, (_, i) => 1 + (i % 13))],
  ])("stateValues() and packRows() give what ggml's encoder %s wrote", (_, importance) => {
    const bytes = quantizeRows(engine, type, variedRows(type), COLUMNS, importance);
    expectExact(type, bytes, ROWS, COLUMNS);
  });

  test("stateValues() and packRows() are exact for any bits of a block", () => {
    expectExact(type, randomBlocks(type, 500), 1, 500 * format.blockWeights);
  });

  test("packRows() refuses what the type can't store", () => {
    const state = emptyRows(format, 1, 256);
    const pack = (change: Partial<typeof state>) => () => packRows(format, { ...state, ...change }, 1, 256);
    expect(pack({})).not.toThrow();
    expect(pack({ superScales: state.superScales.map(() => 0.1) })).toThrow(/it is no finite float16/);
    for (const unsound of [Number.NaN, Infinity]) {
      expect(pack({ superScales: state.superScales.map(() => unsound) })).toThrow(/it is no finite float16/);
    }
    expect(pack({ scales: state.scales.map(() => format.scaleMax + 1) })).toThrow(/Cannot store the scale/);
    expect(pack({ scales: state.scales.map(() => format.scaleMin - 1) })).toThrow(/Cannot store the scale/);
    expect(pack({ codes: state.codes.subarray(1) })).toThrow(/Cannot store 255 codes as/);
    if (format.levels.length < 256) {
      expect(pack({ codes: state.codes.map(() => format.levels.length) })).toThrow(/Cannot store the code/);
    }
    if (format.minMax) {
      expect(pack({ superMins: state.superMins.map(() => 1e-9) })).toThrow(/it is no finite float16/);
      expect(pack({ mins: state.mins.map(() => format.minMax + 1) })).toThrow(/Cannot store the min/);
    }
  });

  test("unpackRows() refuses bytes that aren't the rows", () => {
    expect(() => unpackRows(format, new Uint8Array(7), 1, 256)).toThrow(/7 bytes given, \d+ needed/);
    expect(() => unpackRows(format, new Uint8Array(7), 1, 250)).toThrow(/is not a multiple of/);
  });
});

test("packRows() stores no offset where q4_1's min is 0", () => {
  const format = scalarFormat("q4_1")!;
  const state = emptyRows(format, 1, 32);
  state.superMins[0] = 2;
  expect([...stateValues(format, state, 1, 32)]).toEqual(Array(32).fill(-2));
  state.mins[0] = 0;
  const bytes = packRows(format, state, 1, 32);
  expect([...dequantize(engine, "q4_1", bytes, 32)]).toEqual([...stateValues(format, state, 1, 32)]);
});

function expectExact(type: ScalarType, bytes: Uint8Array, rows: number, columns: number): void {
  const format = scalarFormat(type)!;
  const given = bytes.slice();
  const state = unpackRows(format, bytes, rows, columns);
  const values = stateValues(format, state, rows, columns);
  const theirs = dequantize(engine, type, bytes, rows * columns);
  expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(theirs.buffer)), "values").toBe(0); // signs of zeros too
  expect(Buffer.compare(packRows(format, state, rows, columns), given), "bytes").toBe(0);
  expect(Buffer.compare(bytes, given), "input left as it was").toBe(0);
}

/** Rows of very different sizes, some with outliers or an offset, one of zeros, one so small that its scales are subnormal. */
function variedRows(type: string): Float32Array {
  const random = new Random(7).fork(type);
  const rows = new Float32Array(ROWS * COLUMNS);
  for (let row = 1; row < ROWS; row++) {
    const spread = row === 1 ? 1e-6 : 10 ** (random.next() * 5 - 4);
    const offset = row % 3 === 0 ? 3 * spread : 0;
    for (let i = 0; i < COLUMNS; i++) {
      const outlier = row % 4 === 0 && random.integer(50) === 0 ? 20 : 1;
      rows[row * COLUMNS + i] = offset + spread * outlier * random.normal();
    }
  }
  return rows;
}

/** Blocks of random bits; only their float16 numbers are drawn, so that they are finite. */
function randomBlocks(type: ScalarType, count: number): Uint8Array {
  const { blockWeights, superScale, superMin } = SCALAR_LAYOUTS[type];
  const random = new Random(11).fork(type);
  const sizeBytes = rowSizeBytes(type, blockWeights);
  const bytes = Uint8Array.from({ length: count * sizeBytes }, () => random.integer(256));
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += sizeBytes) {
    for (const offset of superMin === undefined ? [superScale] : [superScale, superMin]) {
      const sign = random.integer(2) ? 1 : -1;
      const drawn = random.integer(5) === 0 ? 0 : random.next() * 2 ** (random.integer(40) - 24);
      view.setUint16(at + offset, toFloat16(sign * drawn), true);
    }
  }
  return bytes;
}
