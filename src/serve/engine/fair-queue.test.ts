import { expect, test } from "vitest";

import { FairQueue } from "./fair-queue.js";

test("a client with many requests does not keep another waiting", () => {
  const queue = new FairQueue<{ client: string; id: number }>();
  for (let id = 0; id < 4; id++) queue.add({ client: "many", id });
  queue.add({ client: "few", id: 4 });
  expect(queue.inTurn([]).map(({ id }) => id)).toEqual([0, 4, 1, 2, 3]);
  expect(queue.inTurn([{ client: "many" }]).map(({ id }) => id)).toEqual([4, 0, 1, 2, 3]);
});
