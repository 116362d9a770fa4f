import { expect, test } from "vitest";

import { LLAMA, type Values, metadataOf, tensorsOf } from "../../test/model-shapes.js";
import {
  bitsPerWeight,
  bytesTouchedPerToken,
  kvCacheBytes,
  kvCacheBytesPerToken,
  memoryBytes,
  sizeBytesOf,
} from "./memory.js";
import { modelSpec } from "./spec.js";

function modelOf(architecture: string, values: Values, shapes: Record<string, number[]>) {
  const tensors = tensorsOf(shapes);
  const lazy = new Map(
    [...tensors].map(([name, shape]) => [name, { ...shape, readRows: () => Promise.reject(new Error()) }]),
  );
  return { spec: modelSpec(metadataOf(architecture, { ...LLAMA, ...values }), tensors), tensors: lazy };
}

const spec = (architecture: string, values: Values) => modelOf(architecture, values, {}).spec;

test("kvCacheBytesPerToken() counts KV heads, not heads, and the types of the cache", () => {
  const grouped = spec("llama", { "attention.head_count_kv": 2 }); // 2 layers × 2 heads × 16
  expect(kvCacheBytesPerToken(grouped)).toBe(2 * 2 * 16 * 2 * 2);
  expect(kvCacheBytesPerToken(grouped, { typeK: "f32", typeV: "q8_0" })).toBe(64 * 4 + (64 * 34) / 32);
});

test("kvCacheBytes() rounds up to 256 tokens as llama.cpp does", () => {
  const dense = spec("llama", {});
  const perToken = kvCacheBytesPerToken(dense);
  expect(kvCacheBytes(dense, 1)).toBe(256 * perToken);
  expect(kvCacheBytes(dense, 256)).toBe(256 * perToken);
  expect(kvCacheBytes(dense, 257)).toBe(512 * perToken);
});

test("kvCacheBytes() gives windowed layers their window and one batch only", () => {
  const gemma = spec("gemma2", { "attention.sliding_window": 1024 }); // one of two layers has the window
  const perLayer = kvCacheBytesPerToken(gemma) / 2;
  expect(kvCacheBytes(gemma, 8192)).toBe((8192 + 1536) * perLayer);
  expect(kvCacheBytes(gemma, 8192, { batch: 256 })).toBe((8192 + 1280) * perLayer);
  expect(kvCacheBytes(gemma, 512)).toBe(2 * 512 * perLayer);
});

test("sizeBytesOf() and bitsPerWeight() look at all tensors", () => {
  const model = modelOf("llama", {}, { "token_embd.weight": [64, 100], "output.weight": [64, 100] });
  expect(sizeBytesOf(model)).toBe(2 * 12_800);
  expect(bitsPerWeight(model)).toBe(16);
  expect(bitsPerWeight({ tensors: new Map() })).toBe(0);
});

test("bytesTouchedPerToken() reads one row of an embedding, and all of a tied one", () => {
  const block = { "blk.0.attn_q.weight": [64, 64] };
  const untied = modelOf("llama", {}, { ...block, "token_embd.weight": [64, 100], "output.weight": [64, 100] });
  expect(bytesTouchedPerToken(untied, 0)).toBe(8192 + 128 + 12_800);
  const tied = modelOf("llama", {}, { ...block, "token_embd.weight": [64, 100] });
  expect(bytesTouchedPerToken(tied, 0)).toBe(8192 + 128 + 12_800);
});

test("bytesTouchedPerToken() reads the experts in use, and the cache as far as each layer looks", () => {
  const values = { expert_count: 8, expert_used_count: 2 };
  const experts = modelOf("llama", values, {
    "blk.0.ffn_up_exps.weight": [64, 32, 8],
    "blk.0.ffn_up_shexp.weight": [64, 32],
  });
  expect(bytesTouchedPerToken(experts, 0)).toBe(2 * 4096 + 4096);
  const windowed = modelOf("gemma2", { "attention.sliding_window": 100 }, {});
  const perLayer = kvCacheBytesPerToken(windowed.spec) / 2;
  expect(bytesTouchedPerToken(windowed, 50)).toBe(2 * 50 * perLayer);
  expect(bytesTouchedPerToken(windowed, 1000)).toBe(1100 * perLayer);
});

test("bytesTouchedPerToken() leaves out layers that only predict ahead", () => {
  const shapes = { "blk.0.attn_q.weight": [64, 64], "blk.1.attn_q.weight": [64, 64] };
  const model = modelOf("llama", { nextn_predict_layers: 1 }, shapes);
  expect(bytesTouchedPerToken(model, 0)).toBe(8192);
});

test("memoryBytes() adds up, and grows with context and without flash attention", () => {
  const model = modelOf("llama", { context_length: 4096 }, { "token_embd.weight": [64, 100] });
  const { weights, kvCache, compute, total } = memoryBytes(model);
  expect(weights + kvCache + compute).toBe(total);
  expect(kvCache).toBe(kvCacheBytes(model.spec, 4096));
  expect(memoryBytes(model, { contextLength: 512 }).total).toBeLessThan(total);
  expect(memoryBytes(model, { flashAttention: false }).compute).toBeGreaterThan(compute);
});
