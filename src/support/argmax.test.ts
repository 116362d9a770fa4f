import { expect, test } from "vitest";

import { argmax, argmaxInPlainLoop } from "./argmax.js";
import { Random } from "./random.js";

test("argmax() of nothing is 0, also as the first that is searched", () => {
  expect(argmax(new Float32Array(0))).toBe(0);
});

test("argmax() finds what a plain search finds, for every length and sign", () => {
  const random = new Random(5);
  for (let length = 1; length < 40; length++) {
    for (const shift of [-2, -0.5, 0, 3]) {
      const values = Float32Array.from({ length }, () => random.next() + shift);
      expect(argmax(values)).toBe(values.indexOf(Math.max(...values)));
    }
  }
});

test("argmax() agrees with its plain twin on rows as long as vocabularies, with equals, infinities and NaN among them", () => {
  const random = new Random(6);
  const special = [Number.NaN, Infinity, -Infinity, 0, -0, 7];
  for (const length of [127, 128, 129, 511, 512, 32_000, 49_152, 151_937]) {
    for (const share of [0, 0.01, 1]) {
      const values = Float32Array.from({ length }, () =>
        random.next() < share ? special[random.integer(special.length)]! : Math.round(random.next() * 2000) - 3000,
      );
      expect(argmax(values)).toBe(argmaxInPlainLoop(values));
    }
  }
  expect(argmax(new Float32Array(300).fill(Number.NaN))).toBe(0);
  expect(argmax(new Float32Array(300).fill(-Infinity))).toBe(0);
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
