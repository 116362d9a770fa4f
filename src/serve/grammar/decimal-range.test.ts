import { expect, test } from "vitest";

import { Random } from "../../support/random.js";
import { integerRange, type NumberBounds, numberRange } from "./decimal-range.js";

/** The expression as a regular expression: its operators mean the same, literals stand in quotes. */
function asRegExp(expression: string): RegExp {
  const source = expression.replace(/"([^"]*)"|\s+/g, (_, text?: string) => (text ?? "").replaceAll(".", "\\."));
  return new RegExp(`^(?:${source})$`);
}

function allows({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: NumberBounds, value: number): boolean {
  return (
    value >= (minimum ?? -Infinity) &&
    value <= (maximum ?? Infinity) &&
    value > (exclusiveMinimum ?? -Infinity) &&
    value < (exclusiveMaximum ?? Infinity)
  );
}

test("integerRange() has exactly the whole numbers within its bounds", () => {
  const random = new Random(5);
  for (let i = 0; i < 60; i++) {
    const low = Math.floor(random.next() * 400) - 250;
    const bounds = { minimum: low, exclusiveMaximum: low + 1 + Math.floor(random.next() * 300) };
    const pattern = asRegExp(integerRange(bounds)!);
    for (let value = -300; value <= 500; value++) {
      expect([bounds, value, pattern.test(String(value))]).toEqual([bounds, value, allows(bounds, value)]);
    }
  }
  expect(integerRange({ exclusiveMinimum: 3, exclusiveMaximum: 4 })).toBeUndefined();
});

test("numberRange() has the decimals within its bounds, and none beyond", () => {
  const random = new Random(6);
  for (let i = 0; i < 40; i++) {
    const low = Number(((random.next() - 0.5) * 20).toFixed(i % 4));
    const high = Number((low + random.next() * 9).toFixed(2)) + 1;
    const bounds = i % 2 === 0 ? { minimum: low, maximum: high } : { exclusiveMinimum: low, exclusiveMaximum: high };
    const pattern = asRegExp(numberRange(bounds)!);
    for (let j = 0; j < 300; j++) {
      const text = (low - 1 + random.next() * (high - low + 2)).toFixed(j % 5);
      if (/^-0(\.0*)?$/.test(text)) continue; // zero is written without a sign
      expect([bounds, text, pattern.test(text)]).toEqual([bounds, text, allows(bounds, Number(text))]);
    }
  }
});
