import { expect, test } from "vitest";

import { evidenceLeak } from "./evidence-leak.js";

const PASSAGES = [
  'Which of these is "a tide pool"?\nA) a rock\nB) a well',
  "Lock the door of the boathouse",
  "too short",
];
const inOne = { found: 1, passages: 2 };

test.each([
  ["as it is", PASSAGES[0]!],
  ["in other lines", PASSAGES[0]!.replaceAll(" ", "\n  ")],
  ["as JSON", `${JSON.stringify({ prompt: PASSAGES[0] })}\n`],
  ["as CSV", `"${PASSAGES[0]!.replaceAll('"', '""')}",A\n`],
])("evidenceLeak() finds a passage that is written %s", (_, text) => {
  expect(evidenceLeak(PASSAGES, ["another text", text])).toEqual(inOne);
});

test("evidenceLeak() takes neither short passages nor parts of long ones for a leak", () => {
  expect(evidenceLeak(PASSAGES, ["too short\nLock the door of the boat"])).toEqual({ found: 0, passages: 2 });
});
