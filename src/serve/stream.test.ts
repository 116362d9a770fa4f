import { setImmediate as nextTurn } from "node:timers/promises";

import { expect, test } from "vitest";

import { interleave } from "./stream.js";

async function* failing(): AsyncGenerator<string> {
  yield "first";
  await Promise.resolve();
  throw new Error("gone");
}

test("interleave() leaves no failure unheard while nobody asks for the next piece", async () => {
  const unheard: unknown[] = [];
  const hear = (reason: unknown): void => void unheard.push(reason);
  process.on("unhandledRejection", hear);
  try {
    const pieces = interleave([failing()], () => {});
    expect(await pieces.next()).toEqual({ value: "first", done: false });
    await nextTurn(); // what comes next has failed meanwhile
    await nextTurn();
    await expect(pieces.next()).rejects.toThrow("gone");
    expect(unheard).toEqual([]);
  } finally {
    process.off("unhandledRejection", hear);
  }
});
