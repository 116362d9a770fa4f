import { expect, test } from "vitest";

import { caseOf, scoreOf } from "../../../test/score-case.js";
import { labelIn } from "./label.js";

const labels = ["card lost", "card", "top_up", "C++", "C"];

test.each([
  ["card_lost", "card lost"],
  ["**Card lost.**", "card lost"],
  ["Top up\nbecause the customer wants to top up the card", "top_up"],
  ["The intent is top-up.", "top_up"],
  ["It is about a card lost card lost abroad", "card lost"],
  ["card lost, or a new card", undefined],
  ["c++", "C++"],
  ["cardboard", undefined],
  ["", undefined],
])("labelIn() reads %j as %s", (answer, label) => {
  expect(labelIn(answer, labels)).toBe(label);
});

test("label scores the label that the answer names and keeps it", async () => {
  const fields = { labels, expect: "top_up" };
  expect(await scoreOf("top up", fields)).toEqual({ value: 1, label: "top_up" });
  expect(await scoreOf("card", fields)).toEqual({
    value: 0,
    explanation: 'it is labelled "card", not "top_up"',
    label: "card",
  });
  expect(await scoreOf("neither", fields)).toMatchObject({ value: 0, label: "" });
});

test.each([
  [{ labels: ["a"], expect: "a" }, "at least 2"],
  [{ labels: ["a b", "a_b"], expect: "a b" }, "the same label twice"],
  [{ labels: ["a", "?"], expect: "a" }, "an empty label"],
  [{ labels: ["a", "b"], expect: "c" }, "none of the labels"],
])("label refuses %j", (fields, message) => {
  expect(() => caseOf(fields)).toThrow(message);
});
