// Whole runs in child processes: what they write, and that a killed one goes on to the same bits.
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../test/command.js";
import { writeSyntheticModel } from "../../test/synthetic-model.js";
import { llamaShape } from "../graph/llama.js";
import { checkForEngine } from "../model/check.js";
import { openModel } from "../model/open.js";
import { loadEngine } from "../native/engine.js";
import { LlamaContext } from "../native/llama-context.js";
import { LlamaModel } from "../native/llama-model.js";
import type { Metrics } from "./metrics.js";
import type { TrainRequest } from "./settings.js";
import { train } from "./train.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");
beforeAll(async () => {
  await writeSyntheticModel(model, { width: 32, feedForward: 48, layers: 2, vocabulary: 420, kvHeads: 2 });
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(60));
});
afterAll(() => inputs[Symbol.dispose]());

const BASE = { contextLength: 16, batch: 4, steps: 12, rate: 0.01, validateEvery: 4, threads: 1, seed: 3 } as const;
const NEW = { layers: 2, width: 32, heads: 4, kvHeads: 2, feedForward: 64 } as const;

/** What a run wrote of its numbers, without times. */
function curveOf(path: string): unknown[] {
  const lines = readFileSync(path, "utf8").trim().split("\n");
  return lines.map((line) => ({ ...JSON.parse(line), seconds: undefined }));
}

test("train() goes on from a model, and its loss falls", async () => {
  using folder = temporaryFolder();
  const seen: Metrics[] = [];
  const output = folder.path("out.gguf");
  const result = await train({ ...BASE, model, texts: [text], output }, { onMetrics: (metrics) => seen.push(metrics) });
  expect(result).toMatchObject({ output, steps: 12, resumedFrom: 0, stopped: "finished", architecture: "llama" });
  expect(result.loss!.last).toBeLessThan(0.5 * result.loss!.first);
  expect(result.validation!.loss).toBeLessThan(0.5 * result.loss!.first);
  expect(result.memoryBytes).toBeGreaterThan(4 * 4 * result.parameters);
  expect(curveOf(result.metrics)).toEqual(seen.map((line) => ({ ...line, seconds: undefined })));
  expect(readdirSync(folder.path("")).toSorted()).toEqual(["out.gguf", "out.gguf.run"]);
  expect(readdirSync(folder.path("out.gguf.run"))).toEqual(["metrics.jsonl"]);
});

test("train() on longer sequences than the model was for writes a model for those", async () => {
  using folder = temporaryFolder();
  const lengths: number[] = [];
  for (const contextLength of [16, 300]) {
    const output = folder.path(`${contextLength}.gguf`);
    await train({ ...BASE, model, texts: [text], output, steps: 1, batch: 1, contextLength });
    await using written = await openModel(output);
    lengths.push(written.spec.contextLength);
  }
  expect(lengths).toEqual([256, 300]);
});

test.each(["llama", "qwen2", "qwen3"] as const)(
  "train() makes a new %s that llama.cpp runs with the same loss",
  async (architecture) => {
    using folder = temporaryFolder();
    const output = folder.path("out.gguf");
    const request = { ...BASE, vocabulary: model, texts: [text], output, type: "f32" } as const;
    const result = await train({ ...request, shape: { ...NEW, architecture } });
    await using written = await openModel(output);
    await checkForEngine(written);
    expect(llamaShape(written)).toMatchObject({
      ...NEW,
      architecture,
      isTied: true,
      hasBias: architecture === "qwen2",
    });
    expect(Math.abs(lossOfEngine(output) - result.validation!.loss)).toBeLessThan(1e-3 * result.validation!.loss);
  },
);

/** llama.cpp's loss on the text's end, as validation takes it. */
function lossOfEngine(path: string): number {
  using engineModel = LlamaModel.load(loadEngine(), path);
  const all = engineModel.tokenize(readFileSync(text, "utf8"), { addSpecial: true });
  const tokens = Int32Array.from([...all, engineModel.eosToken]).subarray(-Math.round((all.length + 1) * 0.05));
  let sum = 0;
  for (let start = 0; start < tokens.length - 1; start += BASE.contextLength) {
    const piece = tokens.subarray(start, start + BASE.contextLength + 1);
    const options = { flashAttention: "off", typeK: "f32", typeV: "f32" } as const;
    using context = LlamaContext.create(engineModel, { contextLength: 32, threads: 1, ...options });
    const batch = context.newBatch(32);
    piece.subarray(0, -1).forEach((token, position) => batch.add(token, position, 0, true));
    context.decode(batch);
    for (let i = 0; i < piece.length - 1; i++) {
      const logits = context.logits(i);
      const highest = Math.max(...logits);
      sum += highest + Math.log(logits.reduce((total, x) => total + Math.exp(x - highest), 0)) - logits[piece[i + 1]!]!;
    }
  }
  return sum / (tokens.length - 1);
}

test.each([
  [1, "adamw"],
  [6, "adamw"],
  [9, "adafactor"],
] as const)(
  "a run that is killed at step %i and asked for again has the same losses, and the same file, to the bit (%s)",
  async (step, optimizer) => {
    using folder = temporaryFolder();
    const request = (output: string): TrainRequest => ({
      ...BASE,
      vocabulary: model,
      shape: { ...NEW, architecture: "llama" },
      texts: [text],
      output: folder.path(output),
      optimizer,
      saveEvery: 2,
    });
    const whole = await train(request("whole.gguf"));
    const controller = new AbortController();
    const killed = train(request("killed.gguf"), {
      signal: controller.signal,
      onMetrics: (metrics) => "loss" in metrics && metrics.step === step && controller.abort(new Error("killed")),
    });
    await expect(killed).rejects.toThrow("killed");
    expect(existsSync(folder.path("killed.gguf"))).toBe(false);
    const again = await train(request("killed.gguf"));
    expect(curveOf(again.metrics)).toEqual(curveOf(whole.metrics));
    expect(again.sha256).toBe(whole.sha256);
    if (step > 3) expect(again.resumedFrom).toBeGreaterThan(0);
  },
);

test("a second run in the same folder is refused while the first one works", async () => {
  using folder = temporaryFolder();
  const request: TrainRequest = { ...BASE, model, texts: [text], output: folder.path("out.gguf") };
  const [first, second] = await Promise.allSettled([train(request), train({ ...request, seed: 4 })]);
  const failed = [first, second].filter(({ status }) => status === "rejected");
  expect(failed).toHaveLength(1);
  expect((failed[0] as PromiseRejectedResult).reason.message).toMatch(/Another run works in ".*out.gguf.run"/);
});

test("a checkpoint of another run is refused", async () => {
  using folder = temporaryFolder();
  const request: TrainRequest = { ...BASE, model, texts: [text], output: folder.path("out.gguf"), saveEvery: 1 };
  const controller = new AbortController();
  const killed = train(request, {
    signal: controller.signal,
    onMetrics: ({ step }) => step === 3 && controller.abort(new Error("killed")),
  });
  await expect(killed).rejects.toThrow("killed");
  await expect(train({ ...request, rate: 0.02 })).rejects.toThrow(
    /Cannot go on from .*checkpoint.gguf": it is of a run with other settings/,
  );
});

test("a run whose validation gets no better ends early and writes the best weights", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const request = { ...BASE, model, texts: [text], output, rate: 30, steps: 40, schedule: "constant" } as const;
  const result = await train({ ...request, warmupSteps: 1, validateEvery: 1, patience: 2, clipNorm: 1e9 });
  expect(result.stopped).toBe("no longer better");
  expect(result.steps).toBeLessThan(40);
  expect(result.validation!.step).toBeLessThan(result.steps);
});

test("loss that is no number stops the run, names step and tensor, and leaves the last good checkpoint", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const request = {
    ...BASE,
    model,
    texts: [text],
    output,
    rate: 1e30,
    steps: 40,
    clipNorm: 1e30,
    saveEvery: 1,
  } as const;
  const failed = train({ ...request, schedule: "constant", warmupSteps: 4, validateEvery: 100 });
  await expect(failed).rejects.toThrow(/Training went wrong at step \d+: ".+" holds NaN or infinity/);
  await expect(failed).rejects.toMatchObject({ hint: expect.stringContaining("the last good checkpoint stays in") });
  expect(existsSync(folder.path("out.gguf.run/checkpoint.gguf"))).toBe(true);
  expect(existsSync(output)).toBe(false);
});

test.each([
  [
    "a text shorter than a sequence",
    { contextLength: 4096 },
    /shorter than one sequence: [\d,]+ tokens, a sequence takes 4,096/,
  ],
  ["fewer sequences than a step takes", { batch: 4000 }, /A step takes 4000 sequences, the training text has \d+/],
  ["a model and a new shape", { vocabulary: "x.gguf" }, /either a model to go on from, or a vocabulary/],
  ["a batch of none", { batch: 0 }, /batch is 0, a whole number above 0 is wanted/],
  ["an output that is the model", { output: model }, /Input and output are the same file/],
  ["a text that is not there", { texts: ["nothing.txt"] }, /Cannot read text "nothing.txt": no such file/],
])("train() refuses %s", async (_what, change, message) => {
  using folder = temporaryFolder();
  const request: TrainRequest = { ...BASE, model, texts: [text], output: folder.path("out.gguf"), ...change };
  await expect(train(request)).rejects.toThrow(message);
  expect(existsSync(folder.path("out.gguf"))).toBe(false);
});
