import { expect, test } from "vitest";

import { patternExpression } from "./pattern.js";

test.each([
  ["^ab$", '"a" "b"'],
  ["^[0-9]{2}$", "([0-9]){2}"],
  ['^"$', '"\\\\\\""'],
])("patternExpression() writes %s in GBNF", (pattern, expected) => {
  expect(patternExpression(pattern, "#").replaceAll(/\[([a-z])\]/g, '"$1"')).toBe(expected);
});

test.each(["a(?!b)", "(?<name>a)", "\\bword", "a^b", "(a)\\1", "[\\b]", "\\p{L}"])(
  "patternExpression() refuses %s",
  (pattern) => {
    expect(() => patternExpression(pattern, "#/a")).toThrow(`The JSON Schema at #/a has a pattern /${pattern}/`);
  },
);
