// The line that a terminal shows while a model trains, and the examples that it reads.
import { writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { temporaryFolder } from "../../test/command.js";
import { readExamples } from "./examples.js";
import { lossCurve, lossLine } from "./loss-line.js";
import type { Metrics } from "./metrics.js";

const losses = (...values: number[]): Metrics[] =>
  values.map((loss, i) => ({ step: i + 1, loss, gradientNorm: 1, rate: 1, targets: 1, seconds: 1 }));

test("lossLine() shows the last loss, the curve and the last validation", () => {
  expect(lossLine(losses(4, 3, 2, 1))).toBe("loss 1.000 █▆▃▁");
  expect(lossLine([...losses(2, 1), { step: 2, validationLoss: 1.25 }])).toBe("loss 1.000 █▁ validation 1.250");
  expect(lossLine([])).toBe("");
});

test("lossCurve() shows means of equal stretches, and a constant loss as a line", () => {
  expect(lossCurve([8, 8, 4, 4, 0, 0], 3)).toBe("█▅▁");
  expect(lossCurve([2, 2, 2], 3)).toBe("▁▁▁");
});

test.each([
  ["no JSON", "{", "line 2: it is no JSON"],
  ["an unknown field", '{"text": "a", "lable": 1}', "line 2:"],
  [
    "messages without an answer",
    '{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}',
    "line 2:",
  ],
])("readExamples() refuses %s with its line", async (_what, line, message) => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("a.jsonl"), `{"text": "fine"}\n${line}\n`);
  await expect(readExamples([folder.path("a.jsonl")])).rejects.toThrow(message);
});
