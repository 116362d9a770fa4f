import { expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { loadEngine, parseBackend } from "./engine.js";
import { dequantize, ggmlTypes, isImportanceRequired, quantizeRows, quantizeRowsAsync, validateRows } from "./ggml.js";
import { liveHandles } from "./handle.js";
import { LlamaContext } from "./llama-context.js";
import { LlamaModel } from "./llama-model.js";
import { CpuBackend, matmulTransposed } from "./matmul.js";
import { TokenBatch } from "./token-batch.js";

const engine = loadEngine();
const stories = sharedModel("stories260K-f32.gguf");

test("loadEngine() returns one engine per process and refuses a second backend", () => {
  expect(loadEngine()).toBe(engine);
  expect(() => loadEngine({ backend: engine.backend === "cpu" ? "cuda" : "cpu" })).toThrow(
    /another backend needs another process/,
  );
  expect(() => parseBackend("tpu")).toThrow(/"tpu" is not a backend/);
});

test("quantizeRows() and dequantize() keep every value within half a step of its grid", () => {
  const weights = Float32Array.from({ length: 512 }, (_, i) => Math.sin(i * 0.7));
  const decoded = dequantize(engine, "q8_0", quantizeRows(engine, "q8_0", weights, 256), weights.length);
  for (let i = 0; i < weights.length; i++)
    expect(Math.abs(decoded[i]! - weights[i]!)).toBeLessThanOrEqual(0.5 / 127 + 1e-3);
});

test("quantizeRowsAsync() gives the same bytes as quantizeRows()", async () => {
  const weights = Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i * i * 0.01));
  const importance = Float32Array.from({ length: 512 }, (_, i) => 1 + (i % 7));
  for (const name of [
    "q4_0",
    "q5_1",
    "q8_0",
    "q3_K",
    "q6_K",
    "iq4_nl",
    "iq4_xs",
    "iq2_xxs",
    "tq2_0",
    "mxfp4",
    "f16",
    "bf16",
  ]) {
    expect(ggmlTypes(engine).has(name), name).toBe(true);
    const asked = isImportanceRequired(engine, name) ? importance : undefined;
    const [now, later] = [
      quantizeRows(engine, name, weights, 512, asked),
      await quantizeRowsAsync(engine, name, weights, 512, asked),
    ];
    expect(Buffer.compare(now, later), name).toBe(0);
    expect(validateRows(engine, name, now), name).toBe(true);
  }
});

test("quantizeRows() refuses rows that a type can't hold and types that need importance", () => {
  expect(() => quantizeRows(engine, "q4_K", new Float32Array(288), 288)).toThrow(/must be multiples of 256/);
  expect(() => quantizeRows(engine, "iq2_xxs", new Float32Array(256), 256)).toThrow(/without importance data/);
});

test("validateRows() sees a NaN", () => {
  expect(validateRows(engine, "f32", new Uint8Array(new Float32Array([1, Number.NaN]).buffer))).toBe(false);
});

test("matmulTransposed() multiplies", () => {
  using backend = CpuBackend.create(engine, 1);
  const product = matmulTransposed(backend, new Float32Array([0, 1, 2, 3, 4, 5]), new Float32Array([0, 1, 2]), 3);
  expect([...product]).toEqual([5, 14]);
});

test("TokenBatch refuses more tokens than it holds", () => {
  const batch = new TokenBatch(1);
  batch.add(1, 0, 0, true);
  expect(() => batch.add(2, 1, 0, true)).toThrow(/the batch holds 1/);
});

test("LlamaModel.load() gives llama.cpp's own reason", () => {
  expect(() => LlamaModel.load(engine, "/nowhere.gguf")).toThrow(/no such file/);
  expect(() => LlamaModel.load(engine, new URL(import.meta.url).pathname)).toThrow(/invalid magic characters/);
});

test.skipIf(!stories)("handles free their memory once and refuse use after it", () => {
  const before = liveHandles();
  const model = LlamaModel.load(engine, stories!);
  const context = LlamaContext.create(model, { contextLength: 64, threads: 2 });
  expect(liveHandles()).toBe(before + 3); // model, context and its threads
  context[Symbol.dispose]();
  context[Symbol.dispose]();
  model[Symbol.dispose]();
  expect(liveHandles()).toBe(before);
  expect(() => model.pointer).toThrow(/used after it was freed/);
});

test.skipIf(!stories)("observer sees the input of every weight, and what it throws comes out of decode()", () => {
  using model = LlamaModel.load(engine, stories!);
  const names = new Set<string>();
  using context = LlamaContext.create(model, {
    contextLength: 64,
    observer: {
      wants: (tensor) => tensor.op === "MUL_MAT",
      sees: (tensor) => {
        const weight = tensor.source(0)!;
        if (weight.name === "blk.4.ffn_down.weight") throw new Error("seen enough");
        names.add(weight.name);
        if (weight.name === "blk.0.attn_q.weight") expect(tensor.source(1)!.floats().length).toBe(64 * 3);
      },
    },
  });
  const batch = context.newBatch(8);
  for (const [position, token] of [1, 403, 407].entries()) batch.add(token, position, 0, position === 2);
  expect(() => context.decode(batch)).toThrow("seen enough");
  expect(names.has("blk.3.ffn_down.weight")).toBe(true);
});
