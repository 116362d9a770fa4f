import { expect, test } from "vitest";

import { requireWindows, selectWindows } from "./text-windows.js";

test("requireWindows() counts whole windows and says both numbers where there is none", () => {
  expect(requireWindows(1000, 256)).toBe(3);
  expect(() => requireWindows(37, 512)).toThrow("The text is too short: 37 tokens, one window needs 512");
});

test("selectWindows() takes all, a run or a list, in ascending order and once each", () => {
  expect(selectWindows(4, undefined)).toEqual([0, 1, 2, 3]);
  expect(selectWindows(4, { start: 1 })).toEqual([1, 2, 3]);
  expect(selectWindows(4, { start: 2, count: 9 })).toEqual([2, 3]);
  expect(selectWindows(4, { count: 1 })).toEqual([0]);
  expect(selectWindows(4, [3, 0, 3])).toEqual([0, 3]);
});

test("selectWindows() refuses windows that the text lacks", () => {
  expect(() => selectWindows(4, [4])).toThrow("The text has no window 4: it has 4, counted from 0");
  expect(() => selectWindows(4, { start: 4 })).toThrow(/no windows from 4 on/);
  expect(() => selectWindows(4, [])).toThrow(/No window/);
});
