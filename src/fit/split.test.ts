import { expect, test } from "vitest";

import { findRepeats, splitCases, splitText } from "./split.js";

const TEXT = Array.from({ length: 400 }, (_, i) => `Line ${i} of a text that is cut at its line ends.\n`).join("");

test("splitText() gives every line to exactly one part", () => {
  const parts = splitText(TEXT, 1);
  const lines = Object.values(parts).flatMap((part) => part.split("\n").filter(Boolean));
  expect([...lines].sort()).toEqual(TEXT.split("\n").filter(Boolean).sort());
  expect(new Set(lines).size).toBe(400);
  expect(parts.confirmation.length).toBeGreaterThan(parts.selection.length);
});

test("splitText() depends on the seed and on nothing else", () => {
  expect(splitText(TEXT, 1)).toEqual(splitText(TEXT, 1));
  expect(splitText(TEXT, 2).selection).not.toBe(splitText(TEXT, 1).selection);
});

test("splitText() cuts a text of one long line and refuses one of two characters", () => {
  const parts = splitText("word ".repeat(2000), 1);
  expect(Object.values(parts).every((part) => part.length > 100)).toBe(true);
  expect(() => splitText("ab", 1)).toThrow(/Cannot split 2 characters/);
});

test("findRepeats() finds texts that another holds, of equal ones all but the first", () => {
  const [whole, other] = [TEXT, "Something else\n"];
  expect(findRepeats([whole, other, whole])).toEqual([false, false, true]);
  expect(findRepeats([`${other}\n`, other, whole])).toEqual([false, true, false]);
  expect(findRepeats([whole.slice(100, 900), whole])).toEqual([true, false]);
});

test("splitCases() keeps cases that ask the same in one part", () => {
  const cases = Array.from({ length: 60 }, (_, i) => ({
    id: i,
    prompt: i % 2 === 0 ? `Question ${i}` : ` question  ${i - 1}`,
  }));
  const parts = splitCases(cases, ({ prompt }) => prompt, 3);
  for (const part of [parts.calibration, parts.selection, parts.confirmation]) {
    const ids = new Set(part.map(({ id }) => id));
    for (const id of ids) expect(ids.has(id % 2 === 0 ? id + 1 : id - 1)).toBe(true);
  }
  expect(Object.values(parts).flat()).toHaveLength(60);
});

test("splitCases() refuses a handful", () => {
  expect(() => splitCases(["a", "A", " a ", "b"], (item) => item, 1)).toThrow(/2 different cases/);
});
