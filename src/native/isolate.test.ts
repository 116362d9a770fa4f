import { expect, test } from "vitest";

import { EngineError, FormatError } from "../errors.js";
import { isolate } from "./isolate.js";

// The job under test is src/native/self-test.job.ts: it does what its input says.

test("isolate() carries typed arrays, progress and events across the border", async () => {
  const seen: unknown[] = [];
  const output = await isolate<unknown, Float32Array>(
    "native/self-test.job",
    { echo: new Float32Array([1, 2]) },
    {
      what: "echoing",
      onProgress: (progress) => seen.push(progress.done),
      onEvent: (event) => seen.push(event),
    },
  );
  expect([...output]).toEqual([1, 2]);
  expect(seen).toEqual([1, "halfway"]);
});

test("isolate() turns a native abort into an error that names the assertion and the work", async () => {
  const failure = isolate("native/self-test.job", { abort: true }, { what: "trying to abort" });
  await expect(failure).rejects.toBeInstanceOf(EngineError);
  await expect(failure).rejects.toThrow(/The engine stopped while trying to abort: .*GGML_ASSERT/);
});

test("isolate() rebuilds an error with its class, hint and path", async () => {
  const failure = isolate("native/self-test.job", { fail: true }, { what: "failing" });
  await expect(failure).rejects.toMatchObject({ message: "bad file", hint: "look at it", path: "x.gguf" });
  await expect(failure).rejects.toBeInstanceOf(FormatError);
});

test.each(["onProgress", "onEvent"])("isolate() rejects with what %s throws, and ends the child", async (listener) => {
  const what = "waiting for an answer";
  const fail = (): void => {
    throw new RangeError("the listener failed");
  };
  const listening = { onProgress: () => undefined, [listener]: fail };
  const run = isolate("native/self-test.job", { linger: true }, { what, ...listening });
  await expect(run).rejects.toThrow("the listener failed");
  await expect.poll(() => process.getActiveResourcesInfo()).not.toContain("ProcessWrap");
});

test("isolate() ends at once when aborted, even while native code runs", async () => {
  const controller = new AbortController();
  const run = isolate(
    "native/self-test.job",
    { hang: true },
    { what: "hanging", signal: controller.signal, onProgress: () => controller.abort() },
  );
  await expect(run).rejects.toMatchObject({ name: "AbortError" });
});
