import { expect, test } from "vitest";

import { PareError } from "../../../errors.js";
import { WEIGHT_MAX, requireStorable } from "./require-storable.js";

test("requireStorable() takes any weight that a type could hold", () => {
  expect(() => requireStorable(Float32Array.of(0, -0, 1e-45, 65504, WEIGHT_MAX, -WEIGHT_MAX), 3)).not.toThrow();
});

test.each([
  [Number.NaN, "A weight of column 1 is NaN"],
  [-Infinity, "A weight of column 1 is -Infinity"],
  [2 ** 30, "A weight of column 1 is 1073741824, more than any type can hold"],
])("requireStorable() refuses %d and names its column", (unsound, message) => {
  const weights = new Float32Array(12);
  weights[3 + 1] = unsound;
  expect(() => requireStorable(weights, 3)).toThrow(message);
  expect(() => requireStorable(weights, 3)).toThrow(PareError);
});
