import { expect, test } from "vitest";

import { rowSizeBytes } from "../../../../formats/gguf/ggml-types.js";
import { loadGgml } from "../../../../native/engine.js";
import { dequantize } from "../../../../native/ggml.js";
import { Random } from "../../../../support/random.js";
import { CODEBOOK_TYPES, codebookFormat } from "./codebook-format.js";
import { emptyCodebookRows, evenSigns, isOdd, packCodebookRows, rowOf, unpackCodebookRows } from "./codebook-rows.js";
import { codebookOf } from "./codebook.js";

const ROWS = 3;
const COLUMNS = 512;
const ggml = loadGgml();

for (const type of CODEBOOK_TYPES) {
  const format = codebookFormat(type)!;

  test(`unpackCodebookRows() of any bytes of ${type} says what ggml decodes, and they come back`, () => {
    const random = new Random(8).fork(type);
    const bytes = Uint8Array.from({ length: ROWS * rowSizeBytes(type, COLUMNS) }, () => random.integer(256));
    for (let at = 1; at < bytes.length; at += format.blockBytes) bytes[at]! &= 0xbf; // no superscale is infinite or no number
    const state = unpackCodebookRows(format, bytes, ROWS, COLUMNS);
    const { magnitudes } = codebookOf(ggml, format);
    const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, at) => {
      const code = state.codes[Math.floor(at / format.codeLength)]!;
      const odd = 2 * state.scales[Math.floor(at / format.groupWeights)]! + 1;
      const sign = (state.signs[at >>> 3]! >>> (at & 7)) & 1 ? -1 : 1;
      return (
        state.superScales[at >>> 8]! * odd * sign * magnitudes[code * format.codeLength + (at % format.codeLength)]!
      );
    });
    expect(values).toEqual(dequantize(ggml, type, bytes, ROWS * COLUMNS));
    expect(packCodebookRows(format, state)).toEqual(bytes);
  });
}

test("packCodebookRows() puts the fields of iq2_xxs where the format has them", () => {
  const format = codebookFormat("iq2_xxs")!;
  const state = emptyCodebookRows(format, 1, 256);
  state.superScales[0] = 1; // 0x3c00
  state.codes[5] = 200; // second group, second codeword: byte 2 + 8 + 1
  state.signs[5] = 0b11; // bits 7 to 13 of the word that follows the group's codewords
  state.scales[1] = 9; // bits 28 to 31 of it
  const expected = new Uint8Array(66);
  expected.set([0x00, 0x3c]);
  expected[11] = 200;
  new DataView(expected.buffer).setUint32(14, ((9 << 28) | (3 << 7)) >>> 0, true);
  expect(packCodebookRows(format, state)).toEqual(expected);
});

test("evenSigns() sets the eighth sign where the other seven are odd in number", () => {
  expect(evenSigns(0b0000011)).toBe(0b0000011);
  expect(evenSigns(0b0000111)).toBe(0b10000111);
  for (let signs = 0; signs < 256; signs++) {
    expect(isOdd(evenSigns(signs))).toBe(false);
    const minuses = signs.toString(2).replaceAll("0", "").length;
    expect(isOdd(signs)).toBe(minuses % 2 === 1);
  }
});

test("rowOf() gives views into the rows", () => {
  const format = codebookFormat("iq3_s")!;
  const state = emptyCodebookRows(format, ROWS, COLUMNS);
  const row = rowOf(format, state, 1, COLUMNS);
  row.codes[0] = 511;
  row.superScales[1] = 2;
  expect([row.codes.length, row.signs.length, row.scales.length, row.superScales.length]).toEqual([128, 64, 16, 2]);
  expect(state.codes[128]).toBe(511);
  expect(state.superScales[3]).toBe(2);
});

test("unpackCodebookRows() refuses rows of another size", () => {
  const format = codebookFormat("iq2_s")!;
  expect(() => unpackCodebookRows(format, new Uint8Array(81), 1, 256)).toThrow(RangeError);
  expect(() => unpackCodebookRows(format, new Uint8Array(82), 1, 288)).toThrow(/256/);
});
