import { expect, test } from "vitest";

import { compareTop } from "./compare.js";
import type { Reference } from "./reference.js";

/** Positions that think token 7 likeliest, 8 nearly as likely, 9 less so. */
function reference(positions: number): Reference {
  const top = Array.from({ length: positions }, () => ({ tokens: [7, 8, 9], logits: [2, 1.95, 1] }));
  return { tokens: top.map(() => 1), top };
}

test("compareTop() counts a swap of two nearly equal tokens apart, and one of unequal ones against", () => {
  const found = [...Array.from({ length: 99 }, () => 7), 8];
  expect(compareTop(reference(100), found, "x")).toMatchObject({ status: "passed", same: 99, nearTies: 1 });
  expect(compareTop(reference(100), [...found.slice(0, 98), 9, 8], "x")).toMatchObject({
    status: "failed", // 1 of 99 is more than 1 %
    same: 98,
    nearTies: 1,
    different: 1,
  });
});

test("compareTop() takes an answer that is missing, or a token that is far from likely, for a difference", () => {
  expect(compareTop(reference(2), [7], "x")).toMatchObject({ status: "failed", same: 1, different: 1 });
  expect(compareTop(reference(1), [4], "x")).toMatchObject({ status: "failed", same: 0, different: 1 });
});

test.each([
  ["no position", reference(0), []],
  ["near ties alone", reference(100), Array.from({ length: 100 }, () => 8)],
  ["logits that are no numbers", { tokens: [1], top: [{ tokens: [7], logits: [Number.NaN] }] }, [7]],
])("compareTop() does not pass %s", (_, wanted, found) => {
  expect(compareTop(wanted, found, "x").status).toBe("failed");
});
