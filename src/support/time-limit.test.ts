import { expect, test } from "vitest";

import { withTimeLimit } from "./time-limit.js";

function ending(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason), { once: true }));
}

test("withTimeLimit() aborts when the time is over, also beside a signal that never does", async () => {
  for (const other of [undefined, new AbortController().signal]) {
    const kept = setTimeout(() => {}, 2 ** 30); // the limit alone keeps no program alive
    expect(await ending(withTimeLimit(1, other))).toMatchObject({ name: "TimeoutError" });
    clearTimeout(kept);
  }
});

test("withTimeLimit() aborts with the other signal and for its reason", () => {
  const other = new AbortController();
  const signal = withTimeLimit(2 ** 30, other.signal);
  other.abort("enough");
  expect(signal.reason).toBe("enough");
});
