import { expect, test } from "vitest";

import { argmax } from "./argmax.js";
import { Random } from "./random.js";

test("argmax() finds what a plain search finds, for every length and sign", () => {
  const random = new Random(5);
  for (let length = 1; length < 40; length++) {
    for (const shift of [-2, -0.5, 0, 3]) {
      const values = Float32Array.from({ length }, () => random.next() + shift);
      expect(argmax(values)).toBe(values.indexOf(Math.max(...values)));
    }
  }
});

test("argmax() takes the first of equals and never a NaN", () => {
  expect(argmax(new Float32Array([1, 3, 3, 2]))).toBe(1);
  expect(argmax(new Float32Array([-1, -0, 0, -2]))).toBe(1);
  expect(argmax(new Float32Array([Number.NaN, 1, 2]))).toBe(2);
  expect(argmax(new Float32Array([1, Number.NaN, 2, Number.NaN]))).toBe(2);
  expect(argmax(new Float32Array([-Infinity, -5, -Infinity]))).toBe(1);
  expect(argmax(new Float32Array([1, Infinity]))).toBe(1);
});

test("argmax() reads a view at its place", () => {
  const row = new Float32Array([9, 9, 9, 1, 2, 0]);
  expect(argmax(row.subarray(3))).toBe(1);
});
