import { expect, test } from "vitest";

import { loadGgml } from "../native/engine.js";
import { dequantize, quantizeRows } from "../native/ggml.js";
import { FLOAT16_MAX, fromFloat16, toFloat16 } from "./float16.js";
import { Random } from "./random.js";

const engine = loadGgml();
const everyPattern = Uint16Array.from({ length: 65536 }, (_, i) => i);

test("fromFloat16() reads all 65536 patterns as ggml does", () => {
  const ours = Float32Array.from(everyPattern, (bits) => fromFloat16(bits));
  expect(ours).toEqual(dequantize(engine, "f16", new Uint8Array(everyPattern.buffer), everyPattern.length));
});

test("toFloat16() gives back the bits that fromFloat16() read", () => {
  const numbers = everyPattern.filter((bits) => !Number.isNaN(fromFloat16(bits)));
  expect(numbers.length).toBe(65536 - 2 * 1023);
  expect(numbers.map((bits) => toFloat16(fromFloat16(bits)))).toEqual(numbers);
  expect(toFloat16(Number.NaN)).toBe(0x7e00);
});

test("toFloat16() rounds singles as ggml does, over the whole range", () => {
  const random = new Random(1);
  const values = Float32Array.from({ length: 40_000 }, () => random.normal() * 2 ** (random.integer(48) - 28));
  const ties = Float32Array.from({ length: 4096 }, (_, i) => (1024 + i / 2) * 2 ** ((i % 45) - 36));
  for (const singles of [values, ties]) {
    const theirs = quantizeRows(engine, "f16", singles, singles.length);
    expect(Uint16Array.from(singles, toFloat16)).toEqual(new Uint16Array(theirs.buffer));
  }
});

test("toFloat16() rounds doubles once", () => {
  expect(fromFloat16(toFloat16(1 + 2 ** -11))).toBe(1);
  expect(fromFloat16(toFloat16(1 + 2 ** -11 + 2 ** -30))).toBe(1 + 2 ** -10);
  expect(fromFloat16(toFloat16(2 ** -25))).toBe(0);
  expect(fromFloat16(toFloat16(2 ** -25 + 2 ** -60))).toBe(2 ** -24);
  expect(fromFloat16(toFloat16(65519.999))).toBe(FLOAT16_MAX);
  expect(fromFloat16(toFloat16(65520))).toBe(Infinity);
  expect(Object.is(fromFloat16(toFloat16(-1e-300)), -0)).toBe(true);
});
