import { expect, test } from "vitest";

import { printable, renderFacts, renderTable } from "./table.js";

test("renderTable lines up columns, numbers at their right end", () => {
  const text = renderTable(
    [
      ["a", "1"],
      ["long", "200"],
    ],
    { header: ["name", "count"], align: ["left", "right"] },
  );
  expect(text).toBe("name  count\n----  -----\na         1\nlong    200");
});

test("renderTable counts characters, not UTF-16 units", () => {
  expect(
    renderTable([
      ["😀", "x"],
      ["ab", "y"],
    ]),
  ).toBe("😀   x\nab  y");
});

test("renderFacts leaves out what has no value", () => {
  expect(
    renderFacts([
      ["size", "1 MB"],
      ["name", undefined],
    ]),
  ).toBe("size  1 MB");
});

test("printable takes out control characters", () => {
  expect(printable("a\u001b[31mb\nc")).toBe("a\u{fffd}[31mb\u{fffd}c");
});
