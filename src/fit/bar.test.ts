import { expect, test } from "vitest";

import { judge, tokensToSettle } from "./bar.js";

test("judge() compares the whole interval with the bar", () => {
  expect(judge({ mean: 1, low: 0.99, high: 1.01 }, 0.99)).toBe("clears");
  expect(judge({ mean: 0.97, low: 0.95, high: 0.989 }, 0.99)).toBe("fails");
  expect(judge({ mean: 1, low: 0.98, high: 1.02 }, 0.99)).toBe("undecided");
});

test("tokensToSettle() grows with the interval and shrinks with the distance from the bar", () => {
  const kept = { mean: 1, low: 0.98, high: 1.02 };
  expect(tokensToSettle(kept, 0.99, 100)).toBe(480); // 1.2 · (0.02 / 0.01)² · 100
  expect(tokensToSettle(kept, 0.9, 100)).toBe(101);
  expect(tokensToSettle(kept, 1, 100)).toBe(100_000);
});
