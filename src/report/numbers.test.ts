import { expect, test } from "vitest";

import {
  counted,
  dollars,
  grouped,
  percent,
  percentDecimals,
  percentRange,
  rate,
  significant,
  times,
} from "./numbers.js";

test("percent() and percentRange() give decimals that the interval supports", () => {
  expect(percent(0.9923)).toBe("99.2\u202f%");
  expect(percentDecimals({ mean: 0.99, low: 0.98, high: 1 })).toBe(1);
  expect(percentRange({ mean: 0.9903, low: 0.9888, high: 0.9918 })).toBe("98.88 to 99.18\u202f%");
});

test("significant() keeps three digits at every size", () => {
  expect([0, 5.2512, 0.1421, 0.001234, 61.34, 12345].map(significant)).toEqual([
    "0",
    "5.25",
    "0.142",
    "0.00123",
    "61.3",
    "12345",
  ]);
  expect(significant(4e-7)).toBe("4.0e-7");
  expect(significant(-0.0213)).toBe("-0.0213");
});

test("times(), rate(), grouped() and counted() read as people write", () => {
  expect([times(30, 11), times(120, 10), rate(411.6), rate(61.34)]).toEqual(["2.7", "12", "412", "61.3"]);
  expect(grouped(1234567)).toBe("1\u202f234\u202f567");
  expect([counted(1, "cases"), counted(420, "cases")]).toEqual(["1 case", "420 cases"]);
});

test("dollars() gives amounts that stand beside each other the same number of digits", () => {
  expect([0.00798, 0.0104, 1.254, 12.34, 1234, -0.5].map(dollars)).toEqual([
    "$0.00798",
    "$0.0104",
    "$1.25",
    "$12.3",
    "$1\u202f234",
    "−$0.500",
  ]);
});
