import { expect, test } from "vitest";

import { bareTensors } from "../../../test/bare-model.js";
import { LLAMA, metadataOf } from "../../../test/model-shapes.js";
import { ResourceError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { kvCacheBytes, memoryBytes } from "../../model/memory.js";
import type { LazyTensor } from "../../model/model.js";
import { modelSpec } from "../../model/spec.js";
import { isQuantizable } from "../../passes/quantize/tensor-role.js";
import { deviceSchema } from "../device.js";
import { allocate } from "./allocate.js";
import { CacheMeter } from "./cache-meter.js";
import { MIX_TYPES, candidateTypes } from "./candidate-types.js";
import { type SharedMemory, fileBytesBeside, requireRoom, shareDeviceMemory, sharedMemory } from "./device-memory.js";
import { cacheTypes } from "./kv-cache.js";
import { NOMINAL_ERRORS } from "./layer-error.js";
import { headerBytes } from "./size-target.js";

const CONTEXT = 1024;
const ROWS = 64;
const BITS: readonly GgmlType[] = ["q4_0", "q5_1", "q8_0", "f16"];

/** Matrices of which each type was measured, and heads of 32. */
const metadata = metadataOf("llama", { ...LLAMA, embedding_length: 256, "attention.head_count": 8 });
const described = bareTensors({ layers: 2 }).map(({ name, shape: [columns, rows], type }) => ({
  name,
  shape: rows === undefined ? [columns!] : [columns!, ROWS],
  type,
}));
const tensors = new Map(described.map((tensor) => [tensor.name, tensor as unknown as LazyTensor]));
const model = { metadata, tensors, spec: modelSpec(metadata, tensors) };
const table = {
  tensors: Object.fromEntries(
    described.filter(isQuantizable).map(({ name, shape, type }) => {
      const layerError = NOMINAL_ERRORS.q4_0!;
      const divergence = { mean: 0.02, standardError: 0.001, tokens: 4000 };
      return [name, { type, shape, types: { q4_0: { layerError, divergence } } }];
    }),
  ),
};
const request = { model, table, types: BITS };
const open = new Map(described.map((tensor) => [tensor.name, candidateTypes(tensor, { types: BITS })]));
const fullBytes = headerBytes(model) + described.reduce((sum, { shape, type }) => sum + bytesOf(shape, type), 0);

function bytesOf(shape: readonly number[], type: GgmlType): number {
  return shape.reduce((a, b) => a * b, 1) * (type === "f32" ? 4 : 2);
}

const cacheBytes = (typeK: GgmlType, typeV: GgmlType) => kvCacheBytes(model.spec, CONTEXT, { typeK, typeV });
const loss = (type: GgmlType) => (type === "f16" ? 0 : 0.0001 * 4 ** (8 - Number(/\d/.exec(type))));
const memory = (memoryBytes: number, storageBytes?: number): SharedMemory => ({
  device: "Board",
  contextLength: CONTEXT,
  memoryBytes,
  storageBytes,
});

function meterOf() {
  const measured: string[] = [];
  const meter = new CacheMeter({
    spec: model.spec,
    windowTokens: 64,
    measure: ({ typeK, typeV }) => {
      measured.push(`${typeK}/${typeV}`);
      return { mean: 3 * loss(typeK) + loss(typeV), standardError: 0, tokens: 310 };
    },
  });
  return { meter, measured };
}

test("sharedMemory() leaves out the compute buffers, and refuses a context whose smallest cache takes all", () => {
  const { compute } = memoryBytes(model, { contextLength: CONTEXT });
  const smallest = cacheBytes("q4_0", "q4_0");
  const device = (bytes: number) => deviceSchema.parse({ name: "Board", memoryBytes: bytes, storageBytes: 1e6 });
  const shared = sharedMemory(device(compute + smallest + 1), CONTEXT, model);
  expect(shared).toEqual(memory(smallest + 1, 1e6));
  const refused = () => sharedMemory(device(compute + smallest), CONTEXT, model);
  expect(refused).toThrow(ResourceError);
  expect(refused).toThrow(/1,024 tokens takes .* before any weight, with the smallest KV cache \(K q4_0, V q4_0\)/);
});

test("shareDeviceMemory() measures nothing where all fits in full", async () => {
  const { meter, measured } = meterOf();
  const { cache, fileBytes } = await shareDeviceMemory(request, memory(cacheBytes("f16", "f16") + fullBytes), meter);
  expect(cache).toMatchObject({ typeK: "f16", typeV: "f16", contextLength: CONTEXT, divergence: { tokens: 0 } });
  expect(allocate({ ...request, fileBytes }).predictedDivergence).toBe(0);
  expect(measured).toEqual([]);
});

test.each([0.9, 0.6, 0.45])("shareDeviceMemory() finds the least sum of both at %d of the full size", async (share) => {
  const { meter, measured } = meterOf();
  const shared = memory(share * (cacheBytes("f16", "f16") + fullBytes));
  const { cache, fileBytes } = await shareDeviceMemory(request, shared, meter);
  expect(fileBytes).toBe(fileBytesBeside(cache.sizeBytes, shared, model));
  expect(measured).toContain(`${cache.typeK}/${cache.typeV}`);
  const sums = cacheTypes(32).flatMap((typeK) =>
    cacheTypes(32).flatMap((typeV) => {
      const bytes = fileBytesBeside(cacheBytes(typeK, typeV), shared, model);
      const smallest = allocate({ ...request, fileBytes: 1e9 }).smallestBytes;
      if (bytes < smallest) return [];
      return [3 * loss(typeK) + loss(typeV) + allocate({ ...request, fileBytes: bytes }).predictedDivergence];
    }),
  );
  const chosen = cache.divergence.mean + allocate({ ...request, fileBytes }).predictedDivergence;
  expect(chosen).toBe(Math.min(...sums));
});

test("requireRoom() and shareDeviceMemory() refuse what no mix beside the smallest cache fits, and name both", async () => {
  const { smallestBytes } = allocate({ ...request, fileBytes: 1e9 });
  const least = smallestBytes - headerBytes(model) + cacheBytes("q4_0", "q4_0");
  requireRoom(memory(least), model, open);
  expect(() => requireRoom(memory(least - 1), model, open)).toThrow(ResourceError);
  const { meter } = meterOf();
  expect(await shareDeviceMemory(request, memory(least), meter)).toMatchObject({ fileBytes: smallestBytes });
  const refused = shareDeviceMemory(request, memory(least - 1), meter);
  await expect(refused).rejects.toThrow(ResourceError);
  await expect(refused).rejects.toThrow(/smallest KV cache of 1,024 tokens \(K .*, V .*\).* the smallest mix of types/);
});

test("fileBytesBeside() heeds the storage", () => {
  expect(fileBytesBeside(0, memory(1e9, 1000), model)).toBe(1000);
  expect(fileBytesBeside(1e9, memory(1e9), model)).toBe(headerBytes(model));
});

test("requireRoom() counts every type that is open", () => {
  const wide = new Map(described.map((tensor) => [tensor.name, candidateTypes(tensor, { types: MIX_TYPES })]));
  const { smallestBytes } = allocate({ ...request, fileBytes: 1e9 });
  const least = smallestBytes - headerBytes(model) + cacheBytes("q4_0", "q4_0");
  requireRoom(memory(least - 1), model, wide);
});
