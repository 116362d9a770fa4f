import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { writeSyntheticModel } from "../../test/synthetic-model.js";
import { FormatError, PareError } from "../errors.js";
import { Metadata } from "../formats/gguf/metadata.js";
import { writeGguf } from "../formats/gguf/write.js";
import { inspect } from "./inspect.js";

const folder = mkdtempSync(join(tmpdir(), "pare-inspect-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("inspect() tells the numbers of a model and what it is made of", async () => {
  const path = join(folder, "experts.gguf");
  await writeSyntheticModel(path, {
    experts: 4,
    type: "f16",
    edit: (metadata) => metadata.set("general.quantized_by", "string", "somebody").set("huge", "uint64", 2n ** 63n),
  });
  const document = await inspect(path);
  const expert = 3 * 256 * 512;
  expect(document).toMatchObject({
    path,
    architecture: "llama",
    name: "synthetic",
    contextLength: 256,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    experts: 4,
    expertsUsed: 2,
    vocabularySize: 512,
    embeddingLength: 256,
    tiedEmbeddings: false,
    fileType: 1,
    quantizedBy: "somebody",
    kvCacheBytesPerToken: 2 * 2 * 128 * 2,
  });
  expect(document.parametersTotal - document.parametersActive).toBe(2 * 2 * expert);
  expect(Object.entries(document.types)).toEqual([
    ["f16", 16],
    ["f32", 7],
  ]);
  expect(document.tensors[0]).toEqual({
    name: "token_embd.weight",
    shape: [256, 512],
    type: "f16",
    sizeBytes: 262_144,
  });
  expect(document.metadata["tokenizer.ggml.tokens"]).toEqual({ elementType: "string", length: 512 });
  expect(document.metadata["huge"]).toBe("9223372036854775808");
  expect(JSON.parse(JSON.stringify(document))).toMatchObject({ architecture: "llama" });
});

test("inspect() cuts long texts and keeps numbers that JSON has no word for", async () => {
  const path = join(folder, "odd.gguf");
  const edit = (metadata: Metadata) => {
    metadata.set("tokenizer.chat_template", "string", "x".repeat(5000)).set("odd", "float32", Number.NaN);
  };
  await writeSyntheticModel(path, { width: 32, feedForward: 32, edit });
  const { metadata } = await inspect(path);
  expect(metadata["tokenizer.chat_template"]).toHaveLength(2001);
  expect(metadata["odd"]).toBe("NaN");
});

test("inspect() refuses what is no model, no file or not there", async () => {
  const path = join(folder, "statistics.gguf");
  await writeGguf(path, { metadata: new Metadata(), tensors: [] });
  await expect(inspect(path)).rejects.toThrow(FormatError);
  await expect(inspect(path)).rejects.toThrow("general.architecture is absent, so it is no model");
  await expect(inspect(folder)).rejects.toThrow(`Cannot read "${folder}": it is not a file`);
  const absent = join(folder, "absent.gguf");
  await expect(inspect(absent)).rejects.toThrow(PareError);
  await expect(inspect(absent)).rejects.toThrow("there is no such file");
});
