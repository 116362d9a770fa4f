import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { type SyntheticModelOptions, writeSyntheticModel } from "../../test/synthetic-model.js";
import type { GgufFile } from "../formats/gguf/read.js";
import { readGguf } from "../formats/gguf/read.js";
import { loadEngine } from "./engine.js";
import { dequantize, quantizeRows } from "./ggml.js";
import { liveHandles } from "./handle.js";
import { LlamaContext } from "./llama-context.js";
import { LlamaModel } from "./llama-model.js";
import { type UserModel, buildUserModel } from "./user-model.js";

const engine = loadEngine();
const stories = sharedModel("stories15M-f16.gguf");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pare-user-model-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const shapes: Record<string, SyntheticModelOptions> = {
  "a dense": { type: "f16" },
  "a tied": { type: "f16", tied: true },
  "an f32": {},
  "an experts'": { type: "f16", experts: 4 },
};

test.each(Object.keys(shapes))("buildUserModel() gives %s model the logits of its file, bit for bit", async (name) => {
  const path = join(folder, `${name}.gguf`);
  await writeSyntheticModel(path, shapes[name]);
  await expectSameLogits(path);
});

test.skipIf(!stories)("buildUserModel() gives stories15M the logits of its file, bit for bit", async () => {
  await expectSameLogits(stories!);
});

test("buildUserModel() holds tensors in the types asked for, and a rewritten weight counts from the next decode on", async () => {
  const path = await synthetic("types.gguf");
  await using gguf = await readGguf(path);
  const contents = await contentsOf(gguf);
  const name = "blk.1.ffn_down.weight";
  const values = dequantize(engine, "f16", contents.get(name)!, 512 * 256);
  const encoded = quantizeRows(engine, "q4_K", values, 512);
  const built = build(gguf, contents, new Map([[name, { type: "q4_K", bytes: encoded }]]));
  using model = built.model;
  const weight = built.weights.get(name)!;
  expect([weight.type, weight.shape, weight.sizeBytes]).toEqual(["q4_K", [512, 256, 1, 1], encoded.byteLength]);
  expect(Buffer.compare(weight.read(), encoded)).toBe(0);
  expect(built.weights.get("blk.0.ffn_down.weight")!.type).toBe("f16");
  const before = logits(model);
  expect(before).not.toEqual(logitsOfFile(path));
  weight.write(new Uint8Array(144), 0); // the first block: zeros
  expect(Buffer.compare(weight.read(144), encoded.subarray(144))).toBe(0);
  expect(logits(model)).not.toEqual(before);
  weight.write(encoded);
  expect(logits(model)).toEqual(before);
});

test("ModelWeight refuses bytes that don't fit and use after its model was freed", async () => {
  const path = await synthetic("after.gguf");
  await using gguf = await readGguf(path);
  const { model, weights } = build(gguf, await contentsOf(gguf));
  const weight = weights.get("output_norm.weight")!;
  expect(() => weight.write(new Uint8Array(8), weight.sizeBytes - 4)).toThrow(/has 1024 bytes, not 8 from 1020/);
  expect(() => weight.read(-4, 4)).toThrow(/not 4 from -4/);
  model[Symbol.dispose]();
  expect(() => weight.write(new Uint8Array(4))).toThrow(/after its model was freed/);
  expect(() => weight.read()).toThrow(/after its model was freed/);
});

test("buildUserModel() names what doesn't fit, and leaves nothing behind", async () => {
  const path = await synthetic("wrong.gguf");
  await using gguf = await readGguf(path);
  const contents = await contentsOf(gguf);
  const before = liveHandles();
  const tensors = gguf.tensors.map(({ name, shape, type }) => ({ name, shape, type: type as string }));
  const fill = (): void => undefined;
  const less = tensors.filter(({ name }) => name !== "blk.0.attn_k.weight");
  expect(() => buildUserModel(engine, { metadataPath: path, tensors: less, fill })).toThrow(
    /the engine wants tensor "blk.0.attn_k.weight" too/,
  );
  const narrow = tensors.map((tensor) => (tensor.name === "output.weight" ? { ...tensor, shape: [256, 9] } : tensor));
  expect(() => buildUserModel(engine, { metadataPath: path, tensors: narrow, fill })).toThrow(
    /wants tensor "output.weight" as 256 × 512 × 1 × 1 of f16, not 256 × 9 × 1 × 1 of f16/,
  );
  const odd = tensors.map((tensor) => (tensor.name === "output_norm.weight" ? { ...tensor, shape: [100] } : tensor));
  const oddPlan = { metadataPath: path, tensors: odd.map((tensor) => ({ ...tensor, type: "q8_0" })), fill };
  expect(() => buildUserModel(engine, oddPlan)).toThrow(/its rows of 100 weights are no multiple of 32/);
  const failing = (): void => {
    throw new Error("no more bytes");
  };
  expect(() => buildUserModel(engine, { metadataPath: path, tensors, fill: failing })).toThrow("no more bytes");
  const nowhere = { metadataPath: join(folder, "nowhere.gguf"), tensors, fill };
  expect(() => buildUserModel(engine, nowhere)).toThrow(/Cannot read GGUF/);
  expect(liveHandles()).toBe(before);
  using right = build(gguf, contents).model;
  expect(liveHandles()).toBe(before + 1);
  expect(right.vocabularySize).toBe(512);
});

async function synthetic(name: string): Promise<string> {
  const path = join(folder, name);
  await writeSyntheticModel(path, { type: "f16" });
  return path;
}

async function contentsOf(gguf: GgufFile): Promise<Map<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  for (const tensor of gguf.tensors) contents.set(tensor.name, await gguf.readTensor(tensor));
  return contents;
}

function build(
  gguf: GgufFile,
  contents: ReadonlyMap<string, Uint8Array>,
  others: ReadonlyMap<string, { type: string; bytes: Uint8Array }> = new Map(),
): UserModel {
  return buildUserModel(engine, {
    metadataPath: gguf.path,
    tensors: gguf.tensors.map(({ name, shape, type }) => ({ name, shape, type: others.get(name)?.type ?? type })),
    fill: (weight) => weight.write(others.get(weight.name)?.bytes ?? contents.get(weight.name)!),
  });
}

async function expectSameLogits(path: string): Promise<void> {
  await using gguf = await readGguf(path);
  using built = build(gguf, await contentsOf(gguf)).model;
  using loaded = LlamaModel.load(engine, path);
  expect([built.parameters, built.sizeBytes]).toEqual([loaded.parameters, loaded.sizeBytes]);
  expect(logits(built)).toEqual(logits(loaded));
}

function logitsOfFile(path: string): Float32Array {
  using model = LlamaModel.load(engine, path);
  return logits(model);
}

function logits(model: LlamaModel): Float32Array {
  using context = LlamaContext.create(model, { contextLength: 64, batchSize: 16, threads: 1 });
  const batch = context.newBatch();
  for (let i = 0; i < 12; i++) batch.add((i * 37 + 1) % model.vocabularySize, i, 0, i === 11);
  context.decode(batch);
  return context.logits(11).slice();
}
