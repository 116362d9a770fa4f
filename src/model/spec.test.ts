import { expect, test } from "vitest";

import { LLAMA, type Values, metadataOf, tensorsOf } from "../../test/model-shapes.js";
import { Metadata } from "../formats/gguf/metadata.js";
import { modelSpec } from "./spec.js";

test("modelSpec() repeats one number for all layers, and takes KV heads for heads where they are absent", () => {
  const spec = modelSpec(metadataOf("llama", LLAMA), tensorsOf({ "token_embd.weight": [64, 100] }));
  expect(spec).toMatchObject({
    architecture: "llama",
    layers: 2,
    embeddingLength: 64,
    contextLength: 128,
    feedForwardLength: [96, 96],
    heads: [4, 4],
    kvHeads: [4, 4],
    headLengthK: 16,
    headLengthV: 16,
    experts: 0,
    expertsUsed: 0,
    vocabularySize: 100,
    tiedEmbeddings: true,
    parametersTotal: 6400,
    parametersActive: 6400,
  });
  expect(spec.slidingWindow).toBeUndefined();
});

test("modelSpec() takes per-layer arrays, whose zeros are layers without cache", () => {
  const values = {
    ...LLAMA,
    "attention.head_count_kv": [2, 0],
    feed_forward_length: [96, 48],
    "attention.key_length": 32,
  };
  const spec = modelSpec(metadataOf("llama", values), new Map());
  expect(spec).toMatchObject({ kvHeads: [2, 0], feedForwardLength: [96, 48], headLengthK: 32, headLengthV: 16 });
  expect(spec.cache.map(({ keyLength, valueLength }) => [keyLength, valueLength])).toEqual([
    [64, 32],
    [0, 0],
  ]);
});

test("modelSpec() counts of the experts only those in use as active, and shared ones whole", () => {
  const tensors = tensorsOf({
    "token_embd.weight": [64, 100],
    "output.weight": [64, 100],
    "blk.0.ffn_gate_inp.weight": [64, 8],
    "blk.0.ffn_up_exps.weight": [64, 32, 8],
    "blk.0.ffn_up_shexp.weight": [64, 32],
    "blk.1.ffn_up.3.weight": [64, 32], // one file per expert, as older conversions have it
  });
  const spec = modelSpec(metadataOf("llama", { ...LLAMA, expert_count: 8, expert_used_count: 2 }), tensors);
  expect(spec).toMatchObject({ experts: 8, expertsUsed: 2, tiedEmbeddings: false });
  const dense = 2 * 6400 + 512 + 2048;
  expect(spec.parametersTotal).toBe(dense + 8 * 2048 + 2048);
  expect(spec.parametersActive).toBe(dense + 2 * 2048 + 2048 / 4);
});

test.each<[what: string, architecture: string, values: Values, windows: (number | undefined)[]]>([
  [
    "a pattern by layer",
    "gemma4",
    { "attention.sliding_window": 8, "attention.sliding_window_pattern": [true, false] },
    [8, undefined],
  ],
  ["the family's period", "gemma2", { "attention.sliding_window": 8 }, [8, undefined]],
  ["the family's window", "gemma2", {}, [4096, undefined]],
  [
    "a period of its own",
    "gemma3",
    { "attention.sliding_window": 8, "attention.sliding_window_pattern": 1 },
    [undefined, undefined],
  ],
  ["the full layer first", "smallthinker", { "attention.sliding_window": 8 }, [undefined, 8]],
  ["a family of windows only", "lfm2", { "attention.sliding_window": 8 }, [8, 8]],
  ["a family that has them in larger models", "exaone4", { "attention.sliding_window": 8 }, [undefined, undefined]],
  ["a family that does not heed it", "qwen2", { "attention.sliding_window": 8 }, [undefined, undefined]],
])("modelSpec() finds windowed layers by %s", (_what, architecture, values, windows) => {
  const spec = modelSpec(metadataOf(architecture, { ...LLAMA, ...values }), new Map());
  expect(spec.cache.map(({ window }) => window)).toEqual(windows);
  expect(spec.slidingWindow).toBe(windows.find((window) => window !== undefined));
});

test("modelSpec() knows layers that keep a state instead of keys and values", () => {
  const values = { ...LLAMA, "ssm.inner_size": 128, "ssm.state_size": 16, "ssm.conv_kernel": 4, "ssm.group_count": 1 };
  const tensors = tensorsOf({ "blk.0.ssm_a": [1], "blk.1.attn_output.weight": [64, 64] });
  const spec = modelSpec(metadataOf("qwen3next", values), tensors);
  expect(spec.cache[0]).toMatchObject({ keyLength: 0, valueLength: 0, stateBytes: 4 * (3 * (128 + 32) + 16 * 128) });
  expect(spec.cache[1]).toMatchObject({ keyLength: 64, valueLength: 64, stateBytes: 0 });
});

test("modelSpec() gives no cache to layers that reuse another's or only predict ahead", () => {
  const shared = modelSpec(metadataOf("gemma4", { ...LLAMA, "attention.shared_kv_layers": 1 }), new Map());
  expect(shared.cache.map(({ keyLength }) => keyLength)).toEqual([64, 0]);
  const ahead = modelSpec(metadataOf("glm4moe", { ...LLAMA, nextn_predict_layers: 1 }), new Map());
  expect(ahead.cache.map(({ keyLength }) => keyLength)).toEqual([64, 0]);
  expect(ahead.layersAhead).toBe(1);
});

test("modelSpec() keeps only compressed keys for latent attention", () => {
  const values = {
    ...LLAMA,
    "attention.head_count_kv": 1,
    "attention.key_length": 576,
    "attention.value_length": 512,
    "attention.key_length_mla": 192,
    "attention.value_length_mla": 128,
  };
  const spec = modelSpec(metadataOf("deepseek2", values), new Map());
  expect(spec.cache[0]).toMatchObject({ keyLength: 576, valueLength: 0 });
});

test.each<[what: string, metadata: Metadata, message: string]>([
  ["no architecture", new Metadata(), "general.architecture is absent"],
  ["a layer count beyond reason", metadataOf("llama", { ...LLAMA, block_count: 4e9 }), "block_count is 4000000000"],
  [
    "a layer count as text",
    metadataOf("llama", { ...LLAMA, block_count: "2" }),
    "is of type string, a number is wanted",
  ],
  [
    "an array that is too short",
    metadataOf("llama", { ...LLAMA, "attention.head_count_kv": [1] }),
    "has 1 values for 2 layers",
  ],
])("modelSpec() refuses %s", (_what, metadata, message) => {
  expect(() => modelSpec(metadata, new Map())).toThrow(message);
});
