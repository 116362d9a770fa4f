// The library's face at run time: what it exports, and that its verbs report progress and can be aborted.
import { readdirSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import * as library from "../src/index.js";
import { temporaryFolder } from "./command.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");

beforeAll(() => writeSyntheticModel(model, { type: "f16", vocabulary: 20_000, layers: 1 }));
afterAll(() => inputs[Symbol.dispose]());

test("the library exports the verbs, the files' readers and writers, and the errors, and nothing besides", () => {
  const verbs = [
    "adapt",
    "calibrate",
    "compare",
    "chat",
    "complete",
    "convert",
    "cost",
    "distill",
    "openStudio",
    "doctor",
    "evaluateTask",
    "evaluateText",
    "exportBrowser",
    "exportDocker",
    "exportNode",
    "exportOllama",
    "exportTransformers",
    "fit",
    "fitCascade",
    "inspect",
    "merge",
    "pull",
    "quantize",
    "serve",
    "quantizeCalibrated",
    "learnVocabulary",
    "train",
    "verify",
  ];
  const errors = ["EngineError", "FormatError", "HubError", "NetworkError", "PareError", "ResourceError", "UsageError"];
  const models = [
    "BytePairEncoder",
    "openModel",
    "saveModel",
    "readGguf",
    "writeGguf",
    "readImportance",
    "writeImportance",
  ];
  const tasks = ["parseTask", "readTask", "listDevices", "readDevice"];
  const certificates = ["certificateSchema", "EXIT_CODES", "renderReport"];
  const arithmetic = ["bitsPerWeight", "kvCacheBytes", "kvCacheBytesPerToken", "memoryBytes", "PRESETS"];
  const all = [...verbs, ...errors, ...models, ...tasks, ...certificates, ...arithmetic];
  expect(Object.keys(library).toSorted()).toEqual(all.toSorted());
});

test("quantize() reports progress up to its total", async () => {
  using folder = temporaryFolder();
  const seen: library.Progress[] = [];
  await library.quantize(
    { input: model, output: folder.path("out.gguf"), type: "q8_0" },
    { onProgress: (progress) => seen.push(progress) },
  );
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.at(-1)).toMatchObject({ stage: "quantizing", done: seen.at(-1)!.total });
  expect(seen.map(({ done }) => done)).toEqual(seen.map(({ done }) => done).toSorted((a, b) => a - b));
});

test("quantize() aborted at its first progress rejects with the signal's reason and leaves nothing", async () => {
  using folder = temporaryFolder();
  const controller = new AbortController();
  const reason = new Error("enough");
  const work = library.quantize(
    { input: model, output: folder.path("out.gguf"), type: "iq4_nl", threads: 1 },
    { signal: controller.signal, onProgress: () => controller.abort(reason) },
  );
  await expect(work).rejects.toBe(reason);
  expect(readdirSync(folder.path(""))).toEqual([]);
});

test("a verb that is aborted before it starts does nothing", async () => {
  const signal = AbortSignal.abort(new Error("never mind"));
  await expect(library.inspect(model, { signal })).rejects.toThrow("never mind");
  await expect(library.calibrate({ model, texts: ["some text"] }, { signal })).rejects.toThrow("never mind");
});
