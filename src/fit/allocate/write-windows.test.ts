import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { loadEngine } from "../../native/engine.js";
import { withWrittenWindows } from "./write-windows.js";

const folder = temporaryFolder();
const path = folder.path("model.gguf");
beforeAll(() => writeSyntheticModel(path, { width: 32, feedForward: 48, vocabulary: 420, kvHeads: 2 }));
afterAll(() => folder[Symbol.dispose]());

const WINDOWS = [3, 100].map((start) => Int32Array.from({ length: 16 }, (_, i) => 260 + ((start + 7 * i) % 150)));

function withWritten(count: number): Promise<Int32Array[]> {
  const quiet = { onProgress: () => {}, breathe: async () => {} };
  return withWrittenWindows({ engine: loadEngine(), path, windows: WINDOWS, given: 4, count, threads: 1, ...quiet });
}

test("withWrittenWindows() adds windows that begin as those of the text, the same ones every time", async () => {
  const all = await withWritten(7);
  expect(all).toHaveLength(7);
  for (const window of WINDOWS) expect(all.filter((one) => one.join() === window.join())).toHaveLength(1);
  const starts = new Set(WINDOWS.map((window) => window.subarray(0, 4).join()));
  for (const window of all) expect(starts).toContain(window.subarray(0, 4).join());
  expect(new Set(all.map((window) => window.join())).size).toBe(7);
  expect(await withWritten(7)).toEqual(all);
});

test("withWrittenWindows() writes nothing where the text has enough", async () => {
  expect(await withWritten(2)).toEqual(WINDOWS);
});
