// The curve through validations, on curves that are known.
import { expect, test } from "vitest";

import { estimateTokens } from "./estimate-tokens.js";

const POINTS = [1, 2, 3, 5, 8, 13].map((thousands) => thousands * 1000);
const curve = (tokens: number): number => 1.2 + 40 * tokens ** -0.5;

test("estimateTokens() finds the tokens of a bar on the curve that it assumes", () => {
  const estimate = estimateTokens(
    POINTS.map((tokens) => ({ tokens, loss: curve(tokens) })),
    1.3,
  )!;
  expect(estimate.floor).toBeCloseTo(1.2, 6);
  expect(estimate.power).toBeCloseTo(0.5, 6);
  expect(estimate.tokens! / 160_000).toBeCloseTo(1, 4);
  expect(estimate.error).toBeLessThan(1e-9);
});

test("estimateTokens() says when the curve levels off above the bar", () => {
  const estimate = estimateTokens(
    POINTS.map((tokens) => ({ tokens, loss: curve(tokens) })),
    1.1,
  )!;
  expect(estimate.tokens).toBeUndefined();
});

test("estimateTokens() says nothing of three points, of the one before the first step, and of a loss that rises", () => {
  const few = [0, 1000, 2000, 3000].map((tokens) => ({ tokens, loss: curve(tokens + 1) }));
  expect(estimateTokens(few, 1.3)).toBeUndefined();
  expect(
    estimateTokens(
      POINTS.map((tokens, i) => ({ tokens, loss: 1 + i })),
      1.3,
    ),
  ).toBeUndefined();
});
