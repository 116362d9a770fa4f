import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { type ImportanceEntry, importanceEntry } from "../../calibrate/importance.js";
import { writeImportance } from "../../calibrate/write-imatrix.js";
import { MetadataArray } from "../../formats/gguf/metadata.js";
import { readGguf } from "../../formats/gguf/read.js";
import { writeGguf } from "../../formats/gguf/write.js";
import { openModel } from "../../model/open.js";
import { sha256, sha256File } from "../../support/files.js";
import { renderRecipe } from "../recipe.js";
import { quantize } from "./quantize.js";

const folder = mkdtempSync(join(tmpdir(), "pare-quantize-"));
const at = (name: string) => join(folder, name);
const input = at("model.gguf");
const output = at("out.gguf");

beforeAll(() => writeSyntheticModel(input, { layers: 1, feedForward: 256, vocabulary: 320, type: "f32" }));
afterAll(() => rmSync(folder, { recursive: true }));

/** Importance of 1 for the matrices of the only layer, apart from what is changed. */
async function importanceFile(changes: Record<string, ImportanceEntry | undefined> = {}): Promise<string> {
  await using model = await openModel(input);
  const matrices = [...model.tensors.values()].filter(({ name, shape }) => name.startsWith("blk.") && shape.length > 1);
  const entries = new Map(
    matrices.map(({ name, shape }) => [
      name,
      importanceEntry(new Float32Array(shape[0]!).fill(1), new Float32Array([1])),
    ]),
  );
  for (const [name, entry] of Object.entries(changes)) {
    if (entry) entries.set(name, entry);
    else entries.delete(name);
  }
  const path = at("imatrix.gguf");
  await writeImportance(path, { entries, chunkCount: 1, chunkSize: 512, datasets: ["text.txt"] });
  return path;
}

test("quantize() reports what it wrote", async () => {
  const result = await quantize({ input, output, type: "Q4_K_M", hash: true });
  await using gguf = await readGguf(output);
  expect(result.sizeBytes).toBe(gguf.sizeBytes);
  expect(result.sha256).toBe(sha256(readFileSync(output)));
  expect(result.tensors.map(({ name, type, sizeBytes }) => ({ name, type, sizeBytes }))).toEqual(
    gguf.tensors.map(({ name, type, sizeBytes }) => ({ name, type, sizeBytes })),
  );
  expect(gguf.metadata.number("general.file_type")).toBe(15);
  expect(gguf.metadata.number("general.quantization_version")).toBe(2);
  expect(result.types).toMatchObject({ f32: 3 });
});

test("quantize() foresees the size to the byte, importance data noted", async () => {
  const request = { input, type: "iq4_xs", importance: await importanceFile() };
  const foreseen = await quantize({ ...request, dryRun: true });
  const written = await quantize({ ...request, output });
  expect(foreseen.sizeBytes).toBe(written.sizeBytes);
  expect(foreseen.tensors).toEqual(written.tensors);
  await using gguf = await readGguf(output);
  expect(gguf.metadata.string("quantize.imatrix.file")).toBe(request.importance.slice(0, 127));
  expect(gguf.metadata.string("quantize.imatrix.dataset")).toBe("text.txt");
  expect(gguf.metadata.number("quantize.imatrix.entries_count")).toBe(7);
  expect(gguf.metadata.number("quantize.imatrix.chunks_count")).toBe(1);
});

test("quantize() to copy gives the same bytes, as foreseen, also where the file has never been quantized", async () => {
  const copied = await quantize({ input, output, type: "copy", hash: true });
  expect(copied).toMatchObject({ sizeBytes: statSync(input).size, sha256: await sha256File(input) });
  expect(await sha256File(output)).toBe(copied.sha256);
  expect(await quantize({ input, type: "copy", dryRun: true })).toMatchObject({ sizeBytes: copied.sizeBytes });
});

test("quantize() warns of what will keep the engine from running the result, also in a dry run", async () => {
  const damaged = at("twins.gguf");
  await writeSyntheticModel(damaged, {
    layers: 1,
    vocabulary: 320,
    type: "f16",
    edit(metadata) {
      const tokens = metadata.array("tokenizer.ggml.tokens")!.strings();
      metadata.set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", tokens.with(300, tokens[270]!)));
    },
  });
  const warnings = [expect.stringContaining("tokens 270 and 300 of its vocabulary are both")];
  expect(await quantize({ input: damaged, type: "q8_0", dryRun: true })).toMatchObject({ warnings });
  expect(await quantize({ input: damaged, output, type: "q8_0" })).toMatchObject({ warnings });
  expect(await quantize({ input, output, type: "q8_0" })).toMatchObject({ warnings: [] });
});

test("quantize() follows a recipe to the same file", async () => {
  await importanceFile();
  const options = { type: "q4_K_S", tokenEmbeddingType: "q5_1", tensorTypes: [{ pattern: "attn_v", type: "q8_0" }] };
  const direct = await quantize({
    input,
    output,
    ...options,
    importance: at("imatrix.gguf"),
    importanceName: "imatrix.gguf",
  });
  expect(direct.sha256).toBeUndefined(); // it takes time, and nobody asked for it
  const recipe = at("recipe.yaml");
  writeFileSync(recipe, renderRecipe({ passes: [{ quantize: { ...options, importance: { file: "imatrix.gguf" } } }] }));
  await quantize({ input, output: at("followed.gguf"), recipe });
  expect(await sha256File(at("followed.gguf"))).toBe(await sha256File(output));
  await expect(quantize({ input, output, recipe, type: "q8_0" })).rejects.toThrow("more options are given");
});

test("quantize() follows a recipe with the files that it was made with, unless it is told to take others", async () => {
  const importance = { file: "imatrix.gguf", sha256: await sha256File(await importanceFile()) };
  const source = { sha256: (await sha256File(input)).toUpperCase() };
  const recipe = at("recipe.yaml");
  writeFileSync(recipe, renderRecipe({ source, passes: [{ quantize: { type: "q4_0", importance } }] }));
  await quantize({ input, output, recipe });

  const other = at("other.gguf");
  await rewrite(input, other, "blk.0.ffn_up.weight", (weights) => (weights[777] = 1));
  await expect(quantize({ input: other, output: at("never.gguf"), recipe })).rejects.toMatchObject({
    name: "UsageError",
    message: expect.stringContaining("was made for another model"),
    hint: expect.stringContaining("--allow-mismatch"),
  });
  await quantize({ input: other, output, recipe, allowMismatch: true });

  await importanceFile({ "blk.0.ffn_up.weight": undefined });
  const never = quantize({ input, output: at("never.gguf"), recipe });
  await expect(never).rejects.toThrow("was made with other importance data");
  await quantize({ input, output, recipe, allowMismatch: true });
});

test("quantize() refuses a recipe that calibrates, and says what follows it", async () => {
  const recipe = at("recipe.yaml");
  const calibrate = { texts: [{ file: "text.txt" }] };
  writeFileSync(recipe, renderRecipe({ passes: [{ quantize: { type: "q4_0", calibrate } }] }));
  const refused = quantize({ input, output: at("never.gguf"), recipe });
  await expect(refused).rejects.toMatchObject({
    name: "UsageError",
    hint: expect.stringContaining("quantizeCalibrated"),
  });
});

test("quantize() names the tensors that a very low type needs importance for, and how to get it", async () => {
  const lacking = quantize({ input, output: at("never.gguf"), type: "iq2_xxs" });
  await expect(lacking).rejects.toMatchObject({
    name: "UsageError",
    message: expect.stringMatching(
      /Cannot quantize "blk\.0\.attn_q\.weight" and \d+ more to iq2_xxs without importance data/,
    ),
    hint: expect.stringContaining("pare calibrate"),
  });
  const importance = await importanceFile({ "blk.0.ffn_up.weight": undefined });
  await expect(quantize({ input, output: at("never.gguf"), type: "iq2_xxs", importance })).rejects.toThrow(
    'Cannot quantize "blk.0.ffn_up.weight" to iq2_xxs without importance data',
  );
});

test("quantize() refuses importance data of another size", async () => {
  const other = importanceEntry(new Float32Array(128).fill(1), new Float32Array([1]));
  const importance = await importanceFile({ "blk.0.attn_q.weight": other });
  await expect(quantize({ input, output: at("never.gguf"), type: "q4_K_M", importance })).rejects.toThrow(
    'has 128 values for "blk.0.attn_q.weight", 256 are wanted',
  );
});

test("quantize() refuses to quantize twice, unless it is told to", async () => {
  await quantize({ input, output, type: "q8_0" });
  const request = { input: output, output: at("twice.gguf"), type: "q4_0" };
  await expect(quantize(request)).rejects.toMatchObject({
    name: "UsageError",
    message: expect.stringContaining("it is quantized already"),
    hint: expect.stringContaining("--allow-requantize"),
  });
  const { types } = await quantize({ ...request, allowRequantize: true });
  expect(types["q4_0"]).toBeGreaterThan(0);
  expect((await quantize({ ...request, type: "q8_0" })).types).toMatchObject({ q8_0: 9 }); // nothing changes, so nothing is lost
});

test.each([
  ["NaN", NaN],
  ["infinity", -Infinity],
])("quantize() names the tensor that holds %s, and writes nothing", async (_name, value) => {
  const damaged = at("damaged.gguf");
  await rewrite(input, damaged, "blk.0.ffn_up.weight", (weights) => (weights[777] = value));
  const before = readdirSync(folder);
  await expect(quantize({ input: damaged, output: at("never.gguf"), type: "q4_0" })).rejects.toThrow(
    'Tensor "blk.0.ffn_up.weight" holds a value that is not a number or is infinite',
  );
  expect(readdirSync(folder)).toEqual(before);
});

test("quantize() names the tensor whose values are too large for a type", async () => {
  const large = at("large.gguf");
  await rewrite(input, large, "blk.0.ffn_up.weight", (weights) => (weights[777] = 1e30));
  await expect(quantize({ input: large, output: at("never.gguf"), type: "q4_0" })).rejects.toThrow(
    'Tensor "blk.0.ffn_up.weight" has values too large for q4_0',
  );
});

test("quantize() outlives an encoder that aborts its process", async () => {
  const vast = importanceEntry(new Float32Array(256).fill(3e38), new Float32Array([1])); // their sums overflow
  const importance = await importanceFile({ "blk.0.attn_q.weight": vast });
  await expect(quantize({ input, output: at("never.gguf"), type: "iq3_s", importance })).rejects.toMatchObject({
    name: "EngineError",
    message: expect.stringContaining("GGML_ASSERT"),
  });
});

test.each(["iq3_s", "q4_0"])("quantize() to %s stops when it is aborted and leaves nothing", async (type) => {
  const before = readdirSync(folder);
  const controller = new AbortController();
  const quantizing = quantize(
    { input, output: at("never.gguf"), type },
    { signal: controller.signal, onProgress: () => controller.abort() },
  );
  await expect(quantizing).rejects.toMatchObject({ name: "AbortError" });
  expect(readdirSync(folder)).toEqual(before);
});

test("quantize() merges a split model", async () => {
  const parts = await split(input);
  await quantize({ input, output, type: "q5_0" });
  await quantize({ input: parts[1]!, output: at("merged.gguf"), type: "q5_0" });
  expect(await sha256File(at("merged.gguf"))).toBe(await sha256File(output));
  await expect(quantize({ input: parts[1]!, output: parts[0]!, type: "q5_0" })).rejects.toThrow("same file");
});

/** A copy with one tensor's weights changed. */
async function rewrite(from: string, to: string, name: string, change: (weights: Float32Array) => void): Promise<void> {
  await using gguf = await readGguf(from);
  const tensors = gguf.tensors.map((tensor) => ({
    ...tensor,
    async *chunks() {
      const bytes = await gguf.readTensor(tensor);
      if (tensor.name === name) change(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4));
      yield bytes;
    },
  }));
  await writeGguf(to, { metadata: gguf.metadata, tensors });
}

/** The same model in two files. */
async function split(from: string): Promise<string[]> {
  await using gguf = await readGguf(from);
  const half = Math.floor(gguf.tensors.length / 2);
  const shares = [gguf.tensors.slice(0, half), gguf.tensors.slice(half)];
  const paths = [at("split-00001-of-00002.gguf"), at("split-00002-of-00002.gguf")];
  for (const [number, share] of shares.entries()) {
    const metadata = gguf.metadata.clone();
    metadata.set("split.no", "uint16", number).set("split.count", "uint16", 2);
    metadata.set("split.tensors.count", "int32", gguf.tensors.length);
    const tensors = share.map((tensor) => ({
      ...tensor,
      chunks: async function* () {
        yield await gguf.readTensor(tensor);
      },
    }));
    await writeGguf(paths[number]!, { metadata, tensors });
  }
  return paths;
}
