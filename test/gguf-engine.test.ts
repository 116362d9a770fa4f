// What Pare knows of GGUF and of memory, held against the engine's own answers.
import { expect, test } from "vitest";

import { measureSpeed } from "../src/fit/measure-speed.js";
import { GGML_TYPES } from "../src/formats/gguf/ggml-types.js";
import { memoryBytes } from "../src/model/memory.js";
import { openModel } from "../src/model/open.js";
import { residentBytes } from "../src/model/resident.js";
import { saveModel } from "../src/model/save.js";
import { loadEngine } from "../src/native/engine.js";
import { ggmlTypes } from "../src/native/ggml.js";
import { LlamaContext } from "../src/native/llama-context.js";
import { LlamaModel } from "../src/native/llama-model.js";
import { TokenBatch } from "../src/native/token-batch.js";
import { temporaryFolder } from "./command.js";
import { sharedModel } from "./shared.js";
import { type SyntheticModelOptions, writeSyntheticModel } from "./synthetic-model.js";

const engine = loadEngine();

test("GGML_TYPES has the same numbers, names and sizes as the engine", () => {
  const found = Object.fromEntries(
    [...ggmlTypes(engine).values()].map(({ id, name, blockSize, typeSizeBytes, isQuantized }) => [
      name,
      { id, blockSize, typeSizeBytes, bitsPerWeight: (typeSizeBytes * 8) / blockSize, quantized: isQuantized },
    ]),
  );
  expect(found).toEqual(GGML_TYPES);
});

test.each<[what: string, options: SyntheticModelOptions]>([
  ["a dense model", {}],
  ["a model of experts in f16", { experts: 4, type: "f16" }],
  ["a model with byte pairs and a tied embedding", { tokenizer: "bpe", tied: true }],
])("the engine loads and runs %s that writeGguf() wrote", async (_what, options) => {
  using folder = temporaryFolder();
  const path = folder.path("model.gguf");
  await writeSyntheticModel(path, options);
  using model = LlamaModel.load(engine, path);
  using context = LlamaContext.create(model, { contextLength: 256, threads: 1 });
  const batch = new TokenBatch(2);
  batch.add(3, 0, 0, false);
  batch.add(4, 1, 0, true);
  context.decode(batch);
  expect(context.logits(1).every(Number.isFinite)).toBe(true);
  await using opened = await openModel(path);
  expect(model.vocabularySize).toBe(opened.spec.vocabularySize);
  expect(model.layers).toBe(opened.spec.layers);
  expect(Number(model.parameters)).toBe(opened.spec.parametersTotal);
});

for (const name of ["stories260K-f32.gguf", "stories15M-f16.gguf", "minimind2-small-f16.gguf"]) {
  test.skipIf(!sharedModel(name))(`memoryBytes() of ${name} is within 1 % of what the engine allots`, async () => {
    await using opened = await openModel(sharedModel(name)!);
    using model = LlamaModel.load(engine, sharedModel(name)!);
    for (const contextLength of [256, 512, 2048]) {
      using context = LlamaContext.create(model, { contextLength, threads: 1 });
      const { kvCacheBytes, computeBytes, outputBytes } = context.memory; // rounded to 0.01 MiB by the engine
      const estimate = memoryBytes(opened, { contextLength });
      expect(Math.abs(estimate.kvCache - kvCacheBytes)).toBeLessThan(2 ** 20 / 100);
      const allotted = model.sizeBytes + kvCacheBytes + computeBytes + outputBytes;
      expect(Math.abs(estimate.total / allotted - 1)).toBeLessThan(0.01);
    }
  });

  test.skipIf(!sharedModel(name))(
    `residentBytes() of ${name} is within 10 % or 25 MB of what the system says`,
    async () => {
      await using opened = await openModel(sharedModel(name)!);
      const speed = await measureSpeed({ model: sharedModel(name)!, decodeTokens: 4, repeats: 1, threads: 1 });
      const { residentBytes: measured, rearrangedTypes } = speed.memory;
      const expected = residentBytes(opened, {
        contextLength: speed.promptTokens,
        rearranged: new Set(rearrangedTypes),
        emptyBytes: speed.memory.emptyBytes,
      });
      expect(Math.abs(expected - measured)).toBeLessThan(Math.max(0.1 * measured, 25e6));
    },
  );

  test.skipIf(!sharedModel(name))(`${name} opened and saved runs as before in the engine`, async () => {
    using folder = temporaryFolder();
    const path = folder.path("copy.gguf");
    await using opened = await openModel(sharedModel(name)!);
    await saveModel(opened, path);
    expect(firstLogits(path)).toEqual(firstLogits(sharedModel(name)!));
  });
}

function firstLogits(path: string): Float32Array {
  using model = LlamaModel.load(engine, path);
  using context = LlamaContext.create(model, { contextLength: 256, threads: 1 });
  const batch = new TokenBatch(1);
  batch.add(model.bosToken, 0, 0, true);
  context.decode(batch);
  return context.logits(0).slice();
}
