import { expect, test } from "vitest";

import { caseOf, scoreOf } from "../../../test/score-case.js";
import { type Constraint, keeps, nameOf } from "./constraints.js";

const kept: [Constraint, string][] = [
  [{ kind: "words", min: 4, max: 4 }, "It's a well-known fact."],
  [{ kind: "sentences", min: 3, max: 3 }, 'He said "no". She left… And then? '.trim()],
  [{ kind: "sentences", min: 1, max: 1 }, "It costs 3.50 euros."],
  [{ kind: "lines", max: 2 }, "one\n\ntwo\n"],
  [{ kind: "paragraphs", min: 2 }, "one\none\n\ntwo"],
  [{ kind: "bullets", min: 2, max: 2 }, "- one\n* two\nthree"],
  [{ kind: "contains", text: "river", min: 2 }, "River by river."],
  [{ kind: "contains", text: "a", max: 0 }, "an apple"],
  [{ kind: "avoids", text: "," }, "no commas here."],
  [{ kind: "avoids", text: "nice" }, "nicer"],
  [{ kind: "starts", text: "dear" }, " Dear you"],
  [{ kind: "ends", text: "The end." }, "So. THE END.\n"],
  [{ kind: "upper" }, "LOUD 1!"],
  [{ kind: "lower" }, "quiet."],
  [{ kind: "json" }, '{"a": 1}'],
  [{ kind: "quoted" }, '"so"'],
];
const broken: [Constraint, string][] = [
  [{ kind: "words", min: 4 }, "only three words"],
  [{ kind: "sentences", min: 2 }, "One only"],
  [{ kind: "contains", text: "river" }, "rivers"],
  [{ kind: "avoids", text: "very" }, "Very good"],
  [{ kind: "upper" }, ""],
  [{ kind: "json" }, "{a: 1}"],
  [{ kind: "quoted" }, '"'],
];

test.each(kept)("keeps(%j) holds for %j", (constraint, answer) => expect(keeps(answer, constraint)).toBe(true));
test.each(broken)("keeps(%j) fails for %j", (constraint, answer) => expect(keeps(answer, constraint)).toBe(false));

test("constraints wants all of them, or with partial scores the share", async () => {
  const constraints: Constraint[] = [{ kind: "lower" }, { kind: "words", max: 2 }];
  expect(await scoreOf("so it is", { constraints })).toEqual({
    value: 0,
    explanation: "it breaks words at most 2",
    parts: { lower: 1, "words at most 2": 0 },
  });
  expect((await scoreOf("so it is", { constraints, partial: true })).value).toBe(0.5);
  expect((await scoreOf("so it", { constraints })).value).toBe(1);
});

test("nameOf() says a constraint in a few words", () => {
  expect(nameOf({ kind: "words", min: 3, max: 5 })).toBe("words 3 to 5");
  expect(nameOf({ kind: "contains", text: "x", min: 2 })).toBe('contains "x" at least 2');
  expect(nameOf({ kind: "ends", text: "x" })).toBe('ends "x"');
});

test.each([
  [{ scorer: "constraints" }, 'needs "constraints"'],
  [{ constraints: [{ kind: "words" }] }, 'needs "min" or "max"'],
  [{ constraints: [{ kind: "rhymes" }] }, "constraints.0"],
])("constraints refuses %j", (fields, message) => {
  expect(() => caseOf(fields)).toThrow(message);
});
