import { expect, test } from "vitest";

import { Random } from "../../../support/random.js";
import { codeOf } from "./nearest-code.js";
import { scalarFormat } from "./scalar-format.js";
import { SCALAR_LAYOUTS, type ScalarType } from "./scalar-layouts.js";
import { usableLevels } from "./usable-levels.js";

const TYPES = Object.keys(SCALAR_LAYOUTS) as ScalarType[];

test.each(TYPES)("codeOf() finds the nearest level of %s", (type) => {
  const format = scalarFormat(type)!;
  const { levels } = format;
  const random = new Random(1).fork(type);
  for (let turn = 0; turn < 500; turn++) {
    const value = random.normal() * levels.at(-1)!;
    const distances = Array.from(levels, (level) => Math.abs(value - level));
    expect(distances[codeOf(format, value)]).toBe(Math.min(...distances));
  }
  levels.forEach((level, code) => expect(codeOf(format, level)).toBe(code));
});

test.each(TYPES)("codeOf() of what %s can't reach is its end, of no number the level nearest to zero", (type) => {
  const format = scalarFormat(type)!;
  expect([-1e9, -Infinity].map((value) => codeOf(format, value))).toEqual([0, 0]);
  const last = format.levels.length - 1;
  expect([1e9, Infinity].map((value) => codeOf(format, value))).toEqual([last, last]);
  const nearest = Math.min(...Array.from(format.levels, Math.abs));
  expect(format.levels[codeOf(format, Number.NaN)]).toBe(nearest);
});

test("usableLevels() are those of the type, but for q8_0's lowest", () => {
  for (const type of TYPES) {
    const format = scalarFormat(type)!;
    const { levels, skipped } = usableLevels(format);
    expect(levels).toEqual(format.levels.slice(skipped));
    expect([skipped, levels[0]]).toEqual(type === "q8_0" ? [1, -127] : [0, format.levels[0]]);
  }
});
