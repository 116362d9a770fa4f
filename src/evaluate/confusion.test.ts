import { expect, test } from "vitest";

import { confusionOf } from "./confusion.js";
import { parseTask } from "./task.js";
import type { CaseResult } from "./task-result.js";

const labels = ["a", "b", "c"];

function confusion(pairs: [string, string][]) {
  const text = pairs.map(([expected]) => JSON.stringify({ prompt: "?", labels, expect: expected })).join("\n");
  const { cases } = parseTask(text, { path: "t.jsonl" });
  const perCase = pairs.map(([expected, label]) => ({ score: Number(expected === label), label }) as CaseResult);
  return confusionOf(cases, perCase);
}

test("confusionOf() counts what was taken for what; macro-F1 is that of scikit-learn over the labels that occur", () => {
  // sklearn.metrics.f1_score(expected, found, labels=["a", "b"], average="macro") gives the same
  const result = confusion([
    ["a", "a"],
    ["a", "b"],
    ["a", ""],
    ["b", "b"],
    ["b", "b"],
    ["b", "c"],
  ])!;
  expect(result.matrix).toEqual([
    [1, 1, 0, 1],
    [0, 2, 1, 0],
    [0, 0, 0, 0],
  ]);
  expect(result.perLabel["b"]).toEqual({ precision: 2 / 3, recall: 2 / 3, f1: 2 / 3, cases: 3 });
  expect(result.macroF1).toBeCloseTo((0.5 + 2 / 3) / 2, 12);
});

test("confusionOf() leaves out what could not be scored, and says nothing where there are no labels", () => {
  expect(confusionOf([], [])).toBeUndefined();
  const { cases } = parseTask('{"prompt": "?", "expect": "x"}', { path: "t.jsonl" });
  expect(confusionOf(cases, [{ score: 1 } as CaseResult])).toBeUndefined();
});
