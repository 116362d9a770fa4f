import { expect, test } from "vitest";

import { caseOf, scoreOf } from "../../../test/score-case.js";
import { lastNumber } from "./numeric.js";

test.each([
  ["so #### 18", 18],
  ["It is 1,234,567.5 in all.", 1_234_567.5],
  ["between 3 and 4", 4],
  ["the range 3-4", 4],
  ["minus: -12", -12],
  ["typographic −12.", -12],
  ["$1,000", 1000],
  ["6.02e23 molecules", 6.02e23],
  [".5", 0.5],
  ["1,23", 23],
  ["x2 is a name, 7 is not", 7],
  ["none", undefined],
])("lastNumber() reads %j as %s", (text, value) => {
  expect(lastNumber(text)).toBe(value);
});

test("numeric compares within a distance or a share, and exactly without either", async () => {
  const value = async (answer: string, fields: object) =>
    (await scoreOf(answer, { scorer: "numeric", ...fields })).value;
  expect(await value("I get 4.0", { expect: 4 })).toBe(1);
  expect(await value("4.01", { expect: 4 })).toBe(0);
  expect(await value("4.01", { expect: 4, tolerance: 0.01 })).toBe(1);
  expect(await value("4.02", { expect: 4, tolerance: 0.01 })).toBe(0);
  expect(await value("-102", { expect: -100, tolerance: "2%" })).toBe(1);
  expect(await value("-103", { expect: -100, tolerance: "2%" })).toBe(0);
  expect(await value("0.3", { expect: 0.1 + 0.2 })).toBe(1);
});

test("numeric takes the number of a written solution, and says what it found", async () => {
  const fields = { scorer: "numeric", expect: "5 + 13 = 18\n#### 18" };
  expect(await scoreOf("19", fields)).toEqual({ value: 0, explanation: "the answer's last number is 19, not 18" });
  expect((await scoreOf("no idea", fields)).explanation).toBe('the answer "no idea" has no number');
});

test.each([
  [{ scorer: "numeric", expect: "many" }, "is no number"],
  [{ tolerance: "a bit", expect: 1 }, 'nor a share such as "1%"'],
  [{ tolerance: -1, expect: 1 }, "neither a number from 0 on"],
])("numeric refuses %j", (fields, message) => {
  expect(() => caseOf(fields)).toThrow(message);
});
