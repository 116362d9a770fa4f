import { expect, test } from "vitest";

import { DraftPace } from "./draft-pace.js";

/** How often each way is taken in 1000 steps. */
function ways(draftMs: number, plainMs: number): { draft: number; plain: number } {
  const pace = new DraftPace();
  const taken = { draft: 0, plain: 0 };
  for (let i = 0; i < 1000; i++) {
    const way = pace.prefersDraft ? "draft" : "plain";
    taken[way]++;
    pace.note(way, way === "draft" ? 3 * draftMs : plainMs, way === "draft" ? 3 : 1);
  }
  return taken;
}

test("DraftPace weighs steps by their tokens", () => {
  const pace = new DraftPace();
  // By turns one token in 12 ms and five in 16: 4.7 ms per token, though a step's own pace is 7.6 in the mean.
  for (let i = 0; i < 8; i++) pace.note("draft", i % 2 === 0 ? 12 : 16, i % 2 === 0 ? 1 : 5);
  for (let i = 0; i < 8; i++) pace.note("plain", 6, 1);
  expect(pace.prefersDraft).toBe(true);
});

test("DraftPace takes the faster way, and tries the other now and then", () => {
  expect(ways(2, 5).draft).toBeGreaterThan(880);
  expect(ways(2, 5).plain).toBeGreaterThan(20);
  expect(ways(5, 2).plain).toBeGreaterThan(880);
  expect(ways(5, 2).draft).toBeGreaterThan(20);
});
