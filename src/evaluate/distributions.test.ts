import { expect, test } from "vitest";

import { normalQuantile, studentQuantile } from "./distributions.js";

test("normalQuantile() gives the tabulated values", () => {
  expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 12);
  expect(normalQuantile(0.95)).toBeCloseTo(1.6448536269514722, 12);
  expect(normalQuantile(0.0001)).toBeCloseTo(-3.719016485455709, 11);
  expect(normalQuantile(0.5)).toBe(0);
});

test("studentQuantile() gives the tabulated values for few and many degrees of freedom", () => {
  expect(studentQuantile(0.975, 1)).toBeCloseTo(12.706204736, 7);
  expect(studentQuantile(0.975, 2)).toBeCloseTo(4.3026527297, 8);
  expect(studentQuantile(0.975, 3)).toBeCloseTo(3.1824463053, 8);
  expect(studentQuantile(0.95, 10)).toBeCloseTo(1.8124611228, 8);
  expect(studentQuantile(0.995, 29)).toBeCloseTo(2.7563859037, 8);
  expect(studentQuantile(0.975, 1000)).toBeCloseTo(1.9623390808, 8);
  expect(studentQuantile(0.025, 10)).toBeCloseTo(-2.228138852, 8);
});

test("studentQuantile() joins its two forms without a step", () => {
  expect(studentQuantile(0.975, 200)).toBeCloseTo(1.9718962236, 8);
  expect(studentQuantile(0.975, 201)).toBeCloseTo(1.9718365, 6);
});
