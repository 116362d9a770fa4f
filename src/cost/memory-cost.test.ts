import { expect, test } from "vitest";

import { LLAMA, type Values, metadataOf, tensorsOf } from "../../test/model-shapes.js";
import type { Model } from "../model/model.js";
import { modelSpec } from "../model/spec.js";
import { attentionText, memoryCost } from "./memory-cost.js";

function modelOf(architecture: string, values: Values): Pick<Model, "spec" | "tensors"> {
  const tensors = tensorsOf({ "token_embd.weight": [64, 100] });
  return {
    spec: modelSpec(metadataOf(architecture, { ...LLAMA, ...values }), tensors),
    tensors: tensors as unknown as Model["tensors"],
  };
}

test("memoryCost() counts a cache for each answer at once, and weights and buffers once", () => {
  const model = modelOf("llama", {});
  const one = memoryCost(model, { contextLength: 512, concurrency: 1 });
  const four = memoryCost(model, { contextLength: 512, concurrency: 4 });
  expect(four.kvCacheBytes).toBe(4 * one.kvCacheBytes);
  expect([four.weightsBytes, four.computeBytes]).toEqual([one.weightsBytes, one.computeBytes]);
  expect(four.totalBytes).toBe(four.weightsBytes + four.kvCacheBytes + four.computeBytes);
});

test("memoryCost() takes less where heads share keys and values, and where layers look back a window only", () => {
  const full = memoryCost(modelOf("llama", {}), { contextLength: 8192, concurrency: 1 });
  const shared = memoryCost(modelOf("llama", { "attention.head_count_kv": 1 }), {
    contextLength: 8192,
    concurrency: 1,
  });
  expect(shared.kvCacheBytes).toBe(full.kvCacheBytes / 4);
  const wide = { contextLength: 8192, concurrency: 1 };
  const windowed = memoryCost(modelOf("gemma2", { "attention.sliding_window": 256 }), wide);
  const unwindowed = memoryCost(modelOf("gemma2", { "attention.sliding_window": 8192 }), wide);
  expect(windowed.kvCacheBytes).toBeLessThan(unwindowed.kvCacheBytes);
});

test.each([
  ["llama", {}, "multi-head, 4 heads"],
  ["llama", { "attention.head_count_kv": 2 }, "grouped-query, 4 heads share 2 keys and values"],
  ["llama", { "attention.head_count_kv": 1 }, "multi-query, 4 heads share 1 key and value"],
  ["gemma2", { "attention.sliding_window": 1024 }, "multi-head, 4 heads; 1 of 2 layers look back 1024 tokens"],
])("attentionText() of %s with %o", (architecture, values, text) => {
  expect(attentionText(modelOf(architecture, values).spec)).toBe(text);
});
