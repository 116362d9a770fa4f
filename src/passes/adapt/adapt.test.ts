// Whole runs in child processes: what an adapter learns on plain and on quantized models, that llama.cpp reads it, that
// merging changes no answer, and that a killed run goes on to the same bits.
import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { readGguf } from "../../formats/gguf/read.js";
import { openModel } from "../../model/open.js";
import { saveModel } from "../../model/save.js";
import { loadEngine } from "../../native/engine.js";
import { LlamaContext } from "../../native/llama-context.js";
import { LlamaModel } from "../../native/llama-model.js";
import { quantize } from "../quantize/quantize.js";
import { PASSES } from "../registry.js";
import { adapt } from "./adapt.js";
import { adaptOptionsSchema } from "./adapt-options.js";
import type { AdaptRequest } from "./adapt-settings.js";
import { merge } from "./merge.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const quantized = inputs.path("model-q4_1.gguf");
const text = inputs.path("text.jsonl");
beforeAll(async () => {
  await writeSyntheticModel(model, { width: 32, feedForward: 64, layers: 3, vocabulary: 420, kvHeads: 2, tied: true });
  await quantize({ input: model, output: quantized, type: "q4_1" });
  const example = { prompt: "the rain in", completion: " spain stays mainly" };
  writeFileSync(text, `${JSON.stringify(example)}\n`.repeat(60));
});
afterAll(() => inputs[Symbol.dispose]());

const BASE = { contextLength: 16, batch: 4, steps: 12, rate: 0.02, validateEvery: 4, threads: 1, seed: 3 } as const;

/** Logits after some tokens, [vocabulary]. */
function logitsOf(path: string, adapter?: string): Float32Array {
  using loaded = LlamaModel.load(loadEngine(), path, { adapter });
  const exact = { flashAttention: "off", typeK: "f32", typeV: "f32" } as const;
  using context = LlamaContext.create(loaded, { contextLength: 64, threads: 1, ...exact });
  const batch = context.newBatch(64);
  [1, 300, 77, 301].forEach((token, position) => batch.add(token, position, 0, position === 3));
  context.decode(batch);
  return context.logits(3).slice();
}

function distance(a: Float32Array, b: Float32Array): number {
  return Math.hypot(...a.map((x, i) => x - b[i]!)) / Math.hypot(...b);
}

test.each(["plain", "quantized"] as const)(
  "adapt() learns an adapter of a %s model that llama.cpp loads, and the merged model has the same logits",
  async (kind) => {
    using folder = temporaryFolder();
    const base = kind === "plain" ? model : quantized;
    const output = folder.path("adapter.gguf");
    const merged = folder.path("merged.gguf");
    const result = await adapt({ ...BASE, model: base, texts: [text], output, merge: merged, type: "f32", rank: 4 });
    expect(result).toMatchObject({
      method: "lora",
      steps: 12,
      adapter: { rank: 4, alpha: 8, matrices: 21, firstLayer: 0 },
    });
    expect(result.validation!.loss).toBeLessThan(0.5 * result.loss!.first);
    const beside = logitsOf(base, output);
    expect(distance(beside, logitsOf(base))).toBeGreaterThan(0.1);
    // Quantized products round their inputs, and merged matrices are not quantized.
    expect(distance(logitsOf(merged), beside)).toBeLessThan(kind === "plain" ? 1e-5 : 3e-2);
  },
);

test.each(["lora", "full"] as const)("the adapt pass gives the model that adapt() writes: %s", async (method) => {
  using folder = temporaryFolder();
  const { threads, ...base } = BASE;
  const options = { ...base, method, steps: 2, type: "f32", texts: [text] } as const;
  const context = { engine: loadEngine(), threads, seed: 9 };
  const lean = await PASSES.adapt.apply(await openModel(model), adaptOptionsSchema.parse(options), context);
  const path = lean.path!;
  const saved = await saveModel(lean, folder.path("saved.gguf"));
  await lean.close();
  expect(existsSync(path)).toBe(false);
  const merged = method === "lora" ? folder.path("merged.gguf") : undefined;
  const made = await adapt({ ...options, threads, model, output: folder.path("out.gguf"), merge: merged });
  expect(saved.sha256).toBe((made.merged ?? made).sha256);
});

test("adapt() adapts the matrices that are named, in the last layers alone", async () => {
  using folder = temporaryFolder();
  const output = folder.path("adapter.gguf");
  const chosen = { targets: ["attn_q", "ffn_down"], lastLayers: 2, rank: 2, alpha: 3 } as const;
  await adapt({ ...BASE, steps: 1, model: quantized, texts: [text], output, ...chosen });
  await using file = await readGguf(output);
  expect(file.metadata.string("adapter.type")).toBe("lora");
  expect(file.metadata.number("adapter.lora.alpha")).toBe(3);
  expect(file.tensors.map(({ name, shape, type }) => `${name} ${shape.join("×")} ${type}`)).toEqual(
    [1, 2].flatMap((layer) => [
      `blk.${layer}.attn_q.weight.lora_a 32×2 f32`,
      `blk.${layer}.attn_q.weight.lora_b 2×32 f32`,
      `blk.${layer}.ffn_down.weight.lora_a 64×2 f32`,
      `blk.${layer}.ffn_down.weight.lora_b 2×32 f32`,
    ]),
  );
});

test("a run that is killed and asked for again has the same losses, and the same adapter, to the bit", async () => {
  using folder = temporaryFolder();
  const request = (output: string): AdaptRequest => ({
    ...BASE,
    model: quantized,
    texts: [text],
    output: folder.path(output),
    saveEvery: 2,
  });
  const losses = (path: string): unknown[] =>
    readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => ({ ...JSON.parse(line), seconds: undefined }));
  const whole = await adapt(request("whole.gguf"));
  const controller = new AbortController();
  const killed = adapt(request("killed.gguf"), {
    signal: controller.signal,
    onMetrics: ({ step }) => step === 7 && controller.abort(new Error("killed")),
  });
  await expect(killed).rejects.toThrow("killed");
  const again = await adapt(request("killed.gguf"));
  expect(again.resumedFrom).toBeGreaterThan(0);
  expect(losses(again.metrics)).toEqual(losses(whole.metrics));
  expect(again.sha256).toBe(whole.sha256);
});

test("adapt() trains the model itself where that is asked for", async () => {
  using folder = temporaryFolder();
  const output = folder.path("full.gguf");
  const result = await adapt({ ...BASE, method: "full", model, texts: [text], output });
  expect(result).toMatchObject({ method: "full", adapter: null, merged: null, output });
  expect(distance(logitsOf(output), logitsOf(model))).toBeGreaterThan(0.1);
});

test("merge() merges an adapter that is there to the same bytes", async () => {
  using folder = temporaryFolder();
  const adapter = folder.path("adapter.gguf");
  const result = await adapt({ ...BASE, model, texts: [text], output: adapter, merge: folder.path("a.gguf") });
  const merged = await merge({ model, adapter, output: folder.path("b.gguf") });
  expect(merged.sha256).toBe(result.merged!.sha256);
});

test("merge() and llama.cpp refuse what is no adapter of the model", async () => {
  using folder = temporaryFolder();
  const adapter = folder.path("adapter.gguf");
  const output = folder.path("out.gguf");
  await adapt({ ...BASE, steps: 1, model, texts: [text], output: adapter });
  const other = folder.path("other.gguf");
  await writeSyntheticModel(other, { width: 64, feedForward: 64, layers: 3, vocabulary: 420 });
  await expect(merge({ model: other, adapter, output })).rejects.toThrow(
    /Cannot add the adapter .*: "blk.0.attn_q.weight" is/,
  );
  await expect(merge({ model, adapter: model, output })).rejects.toThrow(/is no LoRA adapter in GGUF form/);
  await expect(merge({ model, adapter: folder.path("none.gguf"), output })).rejects.toThrow(/none.gguf/);
  expect(existsSync(output)).toBe(false);
  expect(() => logitsOf(other, adapter)).toThrow(/Cannot add the adapter .*incorrect shape/);
});

test.each([
  ["a rank of none", { rank: 0 }, /rank is 0, a whole number above 0 is wanted/],
  ["a rank as large as a matrix", { rank: 32 }, /A rank of 32 saves nothing on "blk.0.attn_q.weight"/],
  ["more layers than there are", { lastLayers: 4 }, /The model has 3 layers, the last 4 can't be adapted/],
  ["an unknown matrix", { targets: ["output"] as never }, /"output" is no matrix that can be adapted/],
  ["a rank of a whole model", { method: "full", rank: 4 } as const, /writes a model and no adapter/],
  ["an output that is the model", { output: model }, /Input and output are the same file/],
  ["a merged model in place of the model", { merge: model }, /Input and output are the same file/],
])("adapt() refuses %s", async (_what, change, message) => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  await expect(adapt({ ...BASE, model, texts: [text], output, ...change })).rejects.toThrow(message);
  expect(existsSync(output)).toBe(false);
});
