import { expect, test } from "vitest";

import { LLAMA, metadataOf } from "../../../test/model-shapes.js";
import { ResourceError, UsageError } from "../../errors.js";
import { ggufSizeBytes } from "../../formats/gguf/write.js";
import { memoryBytes } from "../../model/memory.js";
import { type LazyTensor, tensorSizeBytes } from "../../model/model.js";
import { modelSpec } from "../../model/spec.js";
import { outputMetadata } from "../../passes/quantize/output-metadata.js";
import { deviceSchema } from "../device.js";
import { deviceBytes, headerBytes, paddedBytes, parseSizeTarget, targetBytes } from "./size-target.js";

const SHAPES = { "token_embd.weight": [64, 101], "blk.0.attn_q.weight": [64, 64], "output_norm.weight": [7] };
const WEIGHTS = 64 * 101 + 64 * 64 + 7;

function modelOf(fileSizeBytes?: number) {
  const metadata = metadataOf("llama", LLAMA);
  const tensors = new Map(
    Object.entries(SHAPES).map(([name, shape]): [string, LazyTensor] => {
      const sizeBytes = tensorSizeBytes("f16", shape);
      return [name, { name, shape, type: "f16", sizeBytes, readRows: () => Promise.reject(new Error()) }];
    }),
  );
  const spec = modelSpec(metadata, tensors);
  return { metadata, tensors, spec, ...(fileSizeBytes !== undefined && { fileSizeBytes }) };
}

test.each([
  ["4.2bpw", { kind: "bitsPerWeight", bits: 4.2 }],
  [" 3 BPW ", { kind: "bitsPerWeight", bits: 3 }],
  ["38MB", { kind: "bytes", bytes: 38_000_000 }],
  ["1.5 GiB", { kind: "bytes", bytes: 1.5 * 2 ** 30 }],
  ["12345678B", { kind: "bytes", bytes: 12_345_678 }],
  ["-30%", { kind: "share", share: 0.7 }],
  ["raspberry-pi-5@4096", { kind: "device", device: "raspberry-pi-5", contextLength: 4096 }],
  ["boards/mine.json@8k", { kind: "device", device: "boards/mine.json", contextLength: 8192 }],
])("parseSizeTarget() reads %s", (text, target) => {
  expect(parseSizeTarget(text)).toEqual(target);
});

test.each(["", "4.2", "38", "30%", "-100%", "-0%", "0bpw", "-3bpw", "38XB", "@4096", "pi@", "pi@0", "NaNbpw"])(
  'parseSizeTarget() refuses "%s" and says how sizes are written',
  (text) => {
    expect(() => parseSizeTarget(text)).toThrow(UsageError);
    expect(() => parseSizeTarget(text)).toThrow(expect.objectContaining({ hint: expect.stringContaining("4.2bpw") }));
  },
);

test("headerBytes() and paddedBytes() sum up to the file that is written, whatever the types", () => {
  const model = modelOf();
  const types = { "token_embd.weight": "q5_0", "blk.0.attn_q.weight": "q4_0", "output_norm.weight": "f32" } as const;
  const tensors = Object.entries(SHAPES).map(([name, shape]) => ({
    name,
    shape,
    type: types[name as keyof typeof types],
  }));
  const note = { path: "some/imatrix.gguf", datasets: ["text"], entriesCount: 3, chunksCount: 2 };
  const written = ggufSizeBytes({ metadata: outputMetadata(model.metadata, 0, note), tensors });
  const parts = tensors.map(({ type, shape }) => paddedBytes(type, shape, model));
  expect(headerBytes(model, note) + parts.reduce((a, b) => a + b, 0)).toBe(written);
  expect(headerBytes(model, note)).toBeGreaterThan(headerBytes(model));
});

test("targetBytes() turns bits per weight into a file that has no more of them", async () => {
  const model = modelOf();
  const bytes = await targetBytes({ kind: "bitsPerWeight", bits: 4.5 }, model);
  expect(bytes).toBe(headerBytes(model) + Math.floor((4.5 * WEIGHTS) / 8));
});

test("targetBytes() takes a share off the source's file", async () => {
  expect(await targetBytes({ kind: "share", share: 0.7 }, modelOf(1001))).toBe(700);
  expect(await targetBytes({ kind: "bytes", bytes: 123 }, modelOf())).toBe(123);
});

test("deviceBytes() leaves room for cache and buffers, and heeds the storage", () => {
  const model = modelOf();
  const device = deviceSchema.parse({ name: "Board", memoryBytes: "4MB", memoryForModelsShare: 0.5 });
  const options = { typeK: "q8_0", typeV: "q8_0" } as const;
  const bytes = deviceBytes(device, 100, model, options);
  const { kvCache, compute } = memoryBytes(model, { ...options, contextLength: 100 });
  expect(bytes - headerBytes(model) + kvCache + compute).toBeLessThanOrEqual(2_000_000);
  expect(bytes - headerBytes(model) + kvCache + compute).toBeGreaterThan(1_999_999);
  expect(deviceBytes({ ...device, storageBytes: 1000 }, 100, model)).toBe(1000);
  expect(() => deviceBytes({ ...device, memoryBytes: 1000 }, 100, model)).toThrow(ResourceError);
});

test("targetBytes() reads the device by name", async () => {
  const model = modelOf();
  const target = parseSizeTarget("raspberry-pi-5@128");
  expect(await targetBytes(target, model)).toBeGreaterThan(1e9);
  await expect(targetBytes(parseSizeTarget("raspberry-py-5@128"), model)).rejects.toThrow("No device is called");
});
