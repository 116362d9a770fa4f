import { expect, test } from "vitest";

import { GGML_TYPES, type GgmlType, ggmlTypeById, parseGgmlType, rowSizeBytes } from "./ggml-types.js";

const names = Object.keys(GGML_TYPES) as GgmlType[];

test("GGML_TYPES numbers each type once, and ggmlTypeById() finds it", () => {
  expect(new Set(names.map((name) => GGML_TYPES[name].id)).size).toBe(names.length);
  for (const name of names) expect(ggmlTypeById(GGML_TYPES[name].id)).toBe(name);
  expect(ggmlTypeById(4)).toBeUndefined();
  expect(ggmlTypeById(43)).toBeUndefined();
});

test("GGML_TYPES counts bits with the scales of a block", () => {
  expect(GGML_TYPES.q4_0).toMatchObject({ bitsPerWeight: 4.5, quantized: true });
  expect(GGML_TYPES.q6_K.bitsPerWeight).toBe(6.5625);
  expect(GGML_TYPES.bf16).toMatchObject({ bitsPerWeight: 16, quantized: false });
});

test("parseGgmlType() takes either case and lists the names otherwise", () => {
  for (const name of names) expect(parseGgmlType(name.toUpperCase())).toBe(name);
  expect(parseGgmlType("iq4_XS")).toBe("iq4_xs");
  expect(() => parseGgmlType("q4_k_m")).toThrow(/"q4_k_m" is not a ggml type; there are f32, f16, .*q2_0/);
});

test("rowSizeBytes() refuses rows that are no whole number of blocks", () => {
  expect(rowSizeBytes("q4_K", 512)).toBe(288);
  expect(rowSizeBytes("f16", 3)).toBe(6);
  expect(() => rowSizeBytes("q4_K", 288)).toThrow(
    "A row of 288 elements is not a multiple of the 256 in a block of q4_K",
  );
});
