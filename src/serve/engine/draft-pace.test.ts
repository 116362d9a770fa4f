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

test("DraftPace takes the faster way, and tries the other now and then", () => {
  expect(ways(2, 5).draft).toBeGreaterThan(900);
  expect(ways(2, 5).plain).toBeGreaterThan(20);
  expect(ways(5, 2).plain).toBeGreaterThan(900);
  expect(ways(5, 2).draft).toBeGreaterThan(20);
});
