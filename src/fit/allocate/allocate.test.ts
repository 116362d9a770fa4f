import { expect, test } from "vitest";

import { type BareShape, bareTensors } from "../../../test/bare-model.js";
import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";
import { Metadata } from "../../formats/gguf/metadata.js";
import type { LazyTensor } from "../../model/model.js";
import { modelSpec } from "../../model/spec.js";
import { predictSize } from "../../passes/quantize/predict-size.js";
import { isQuantizable } from "../../passes/quantize/tensor-role.js";
import { Random } from "../../support/random.js";
import { type AllocateRequest, allocate, typeOptions } from "./allocate.js";
import { MIX_TYPES, candidateTypes } from "./candidate-types.js";
import { UnreachableSizeError } from "./choose-types.js";
import { decodeCost } from "./decode-cost.js";
import { NOMINAL_ERRORS } from "./layer-error.js";

/** A model of this shape, its matrices so tall that types differ in size, and a table as measurements would fill it. */
function measuredModel(shape: BareShape, rows = 64) {
  const random = new Random(11);
  const metadata = new Metadata().set("general.architecture", "string", "llama");
  metadata.set("llama.block_count", "uint32", shape.layers).set("llama.attention.head_count", "uint32", 8);
  if (shape.experts) {
    metadata.set("llama.expert_count", "uint32", shape.experts).set("llama.expert_used_count", "uint32", 2);
  }
  const described = bareTensors(shape).map(({ name, shape: [columns, second, ...rest], type }) => ({
    name,
    shape: second === undefined ? [columns!] : [columns!, rows, ...rest],
    type,
    sizeBytes: 0,
  }));
  const tensors = new Map(described.map((tensor) => [tensor.name, tensor as unknown as LazyTensor]));
  const table: AllocateRequest["table"] = {
    tensors: Object.fromEntries(
      described.filter(isQuantizable).map(({ name, shape, type }) => {
        const level = Math.exp(random.normal());
        const errors = candidateTypes({ name, shape, type }).flatMap((one) =>
          one === type ? [] : [[one, { layerError: NOMINAL_ERRORS[one]! * Math.exp(0.1 * random.normal()) }] as const],
        );
        const types: AllocateRequest["table"]["tensors"][string]["types"] = Object.fromEntries(errors);
        const measured = types["q4_0"]!;
        const mean = level * measured.layerError!;
        types["q4_0"] = { ...measured, divergence: { mean, standardError: mean / 20, tokens: 4000 } };
        return [name, { type, shape, types }];
      }),
    ),
  };
  return { model: { metadata, tensors, spec: modelSpec(metadata, tensors) }, table };
}

const dense = measuredModel({ layers: 6 });
const bytesOf = (bits: number, { model }: ReturnType<typeof measuredModel>) =>
  [...model.tensors.values()].reduce((sum, { shape }) => sum + (shape.reduce((a, b) => a * b, 1) * bits) / 8, 4000);

test.each<[string, ReturnType<typeof measuredModel>]>([
  ["rows that are multiples of 256", dense],
  ["rows of 288, tied", measuredModel({ layers: 6, embeddingLength: 288, feedForwardLength: 768, tied: true })],
  ["experts", measuredModel({ layers: 4, experts: 8 })],
])("allocate() predicts the file's bytes exactly and uses 995 in 1000 of those allowed: %s", (_name, measured) => {
  const { smallestBytes } = allocate({ ...measured, fileBytes: 1e9 });
  for (const bits of [4, 4.7, 5.5, 6.3, 7.9]) {
    const fileBytes = Math.round(Math.max(smallestBytes, bytesOf(bits, measured)));
    const { sizeBytes, assignments } = allocate({ ...measured, fileBytes });
    expect(sizeBytes).toBe(predictSize(measured.model, assignments));
    expect(sizeBytes).toBeLessThanOrEqual(fileBytes);
    expect(sizeBytes).toBeGreaterThanOrEqual(0.995 * fileBytes);
  }
});

test("allocate() predicts less divergence for more bytes, never below the bound", () => {
  const sizes = [3, 4, 5, 6, 8].map((bits) => Math.round(bytesOf(bits, dense)));
  const results = sizes.map((fileBytes) => allocate({ ...dense, fileBytes }));
  for (const [i, { predictedDivergence, divergenceBound }] of results.entries()) {
    expect(predictedDivergence).toBeGreaterThanOrEqual(divergenceBound!);
    if (i > 0) expect(predictedDivergence).toBeLessThan(results[i - 1]!.predictedDivergence);
  }
  expect(allocate({ ...dense, fileBytes: 1e9 }).predictedDivergence).toBe(0); // as it is
});

test("allocate() gives more bits to tensors that suffer more", () => {
  const fileBytes = Math.round(bytesOf(4.5, dense));
  const { assignments } = allocate({ ...dense, fileBytes });
  const queries = [...assignments].filter(([name]) => name.includes("attn_q"));
  const losses = queries.map(([name]) => dense.table.tensors[name]!.types.q4_0!.divergence!.mean);
  const bits = queries.map(([, { type }]) => GGML_TYPES[type].bitsPerWeight);
  const most = losses.indexOf(Math.max(...losses));
  const least = losses.indexOf(Math.min(...losses));
  expect(bits[most]).toBeGreaterThan(bits[least]!);
});

test("allocate() keeps pins, norms, and what was not measured", () => {
  const pins = [
    { pattern: "^token_embd", type: "q6_K" as const },
    { pattern: "_norm", type: "q4_0" as const },
  ];
  const { "output.weight": _left, ...tensors } = dense.table.tensors;
  const { assignments, sizeBytes } = allocate({ ...dense, table: { tensors }, pins, fileBytes: 300_000 });
  expect(assignments.get("token_embd.weight")).toMatchObject({ type: "q6_K", because: "matches ^token_embd" });
  expect(assignments.get("output.weight")).toEqual({ type: "f16", because: "as it is" });
  expect(assignments.get("blk.0.attn_norm.weight")!.type).toBe("f32");
  expect(sizeBytes).toBeLessThanOrEqual(300_000);
  const narrow = measuredModel({ layers: 2, embeddingLength: 288, feedForwardLength: 768 });
  const fallback = allocate({ ...narrow, pins: [{ pattern: "attn_q", type: "q4_K" }], fileBytes: 1e9 });
  expect(fallback.assignments.get("blk.1.attn_q.weight")).toMatchObject({ type: "q5_0", fallbackFrom: "q4_K" });
});

test("allocate() gives matrices of one input one type where that is asked for", () => {
  const pins = [{ pattern: "blk.2.attn_k", type: "q8_0" as const }];
  const fileBytes = Math.round(bytesOf(4.6, dense));
  const { assignments } = allocate({ ...dense, pins, linkSameInput: true, fileBytes });
  for (let layer = 0; layer < 6; layer++) {
    const type = (kind: string) => assignments.get(`blk.${layer}.${kind}.weight`)!.type;
    expect(type("attn_q")).toBe(type("attn_v"));
    expect(type("attn_k")).toBe(layer === 2 ? "q8_0" : type("attn_q"));
    expect(type("ffn_gate")).toBe(type("ffn_up"));
  }
});

test("allocate() refuses a size below the smallest mix, which it can make", () => {
  const { smallestBytes } = allocate({ ...dense, fileBytes: 1e9 });
  expect(allocate({ ...dense, fileBytes: smallestBytes }).sizeBytes).toBe(smallestBytes);
  expect(() => allocate({ ...dense, fileBytes: smallestBytes - 1 })).toThrow(UnreachableSizeError);
});

test("allocate() for latency makes tokens faster at a size, for some divergence", () => {
  const fileBytes = Math.round(bytesOf(4.6, dense));
  const byteCosts = Object.fromEntries(MIX_TYPES.map((type) => [type, type.startsWith("iq") ? 3 : 1]));
  const calm = allocate({ ...dense, byteCosts, fileBytes });
  const fast = allocate({ ...dense, byteCosts, fileBytes, minimize: "latency" });
  expect(fast.decodeCost).toBeLessThan(calm.decodeCost);
  expect(fast.predictedDivergence).toBeGreaterThan(calm.predictedDivergence);
  expect(fast.sizeBytes).toBeLessThanOrEqual(fileBytes);
});

test("typeOptions() has a loss for every type of a tensor of which one was measured", () => {
  for (const { name, options } of typeOptions(dense)) {
    const own = dense.model.tensors.get(name)!.type;
    if (options.length === 1) expect(options[0]!.type).toBe(own);
    else expect(options.map(({ type }) => type)).toEqual([...MIX_TYPES]);
    for (const { type, loss } of options) expect(loss > 0).toBe(type !== own);
  }
});

test("candidateTypes() knows rows, sources, and types that need importance data", () => {
  const matrix = (columns: number, type: GgmlType = "f16") => ({
    name: "blk.0.ffn_up.weight",
    shape: [columns, 4],
    type,
  });
  expect(candidateTypes(matrix(256))).toEqual(MIX_TYPES);
  expect(candidateTypes(matrix(288))).toEqual(["iq4_nl", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "f16"]);
  expect(candidateTypes(matrix(40, "f32"))).toEqual(["f16", "f32"]);
  expect(candidateTypes(matrix(64, "q4_1"))).toEqual(["iq4_nl", "q4_0", "q4_1"]);
  expect(candidateTypes(matrix(256), { types: ["q8_0", "q4_K", "q4_K"] })).toEqual(["q4_K", "q8_0", "f16"]);
  expect(candidateTypes(matrix(256), { hasImportance: () => false })).not.toContain("iq2_xs");
  expect(candidateTypes({ name: "output_norm.weight", shape: [256], type: "f32" })).toEqual(["f32"]);
});

test("decodeCost() counts one row of a look-up table and the experts of one token", () => {
  const { model } = measuredModel({ layers: 2, experts: 8 });
  const cost = (name: string, type: GgmlType, costs = {}) => decodeCost(model, model.tensors.get(name)!, type, costs);
  expect(cost("token_embd.weight", "f16")).toBe(2 * 256);
  expect(cost("output.weight", "f16")).toBe(2 * 256 * 64);
  expect(cost("output.weight", "q8_0", { q8_0: 1.5 })).toBe(1.5 * 64 * 8 * 34);
  expect(cost("blk.0.ffn_up_exps.weight", "f16")).toBe((2 * 256 * 64 * 8 * 2) / 8);
});
