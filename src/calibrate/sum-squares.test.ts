import { expect, test } from "vitest";

import { Random } from "../support/random.js";
import { addSquares, firstUnsound } from "./sum-squares.js";

test.each([1, 7, 8, 9, 31])("addSquares() of %i rows adds each square to its column", (rows) => {
  const [columns, stride, random] = [5, 7, new Random(rows)];
  const values = Float32Array.from({ length: rows * stride }, () => random.normal());
  const offsets = Int32Array.from({ length: rows }, (_, row) => row * stride);
  const sums = new Float64Array(3 * columns).fill(1);
  addSquares(values, offsets, columns, sums, columns);
  for (let j = 0; j < columns; j++) {
    const wanted = [...offsets].reduce((total, offset) => total + values[offset + j]! ** 2, 1);
    expect(sums[columns + j]).toBeCloseTo(wanted, 12);
  }
  expect([...sums.subarray(0, columns), ...sums.subarray(2 * columns)]).toEqual(Array(2 * columns).fill(1));
});

test("firstUnsound() finds NaN, infinity and what a 32-bit float can't hold", () => {
  expect(firstUnsound(Float64Array.of(0, 1e38))).toBe(-1);
  expect(firstUnsound(Float64Array.of(0, NaN))).toBe(1);
  expect(firstUnsound(Float64Array.of(Infinity, 0))).toBe(0);
  expect(firstUnsound(Float64Array.of(0, 1, 1e39))).toBe(2);
});
