import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { Random } from "../../support/random.js";
import { GGML_TYPES, type GgmlType, rowSizeBytes } from "./ggml-types.js";
import { Metadata, MetadataArray } from "./metadata.js";
import { readGguf } from "./read.js";
import { type GgufTensorSource, ggufSizeBytes, writeGguf } from "./write.js";

const folder = mkdtempSync(join(tmpdir(), "pare-write-"));
afterAll(() => rmSync(folder, { recursive: true }));

function tensor(name: string, shape: number[], type: GgmlType, bytes: Uint8Array): GgufTensorSource {
  return { name, shape, type, chunks: () => [bytes] };
}

function everyMetadataType(): Metadata {
  const nested = [MetadataArray.of("string", ["x", ""]), MetadataArray.of("float64", [1e300])];
  return new Metadata()
    .set("u8", "uint8", 255)
    .set("i8", "int8", -1)
    .set("u16", "uint16", 65_535)
    .set("i16", "int16", -2)
    .set("u32", "uint32", 2 ** 32 - 1)
    .set("i32", "int32", -3)
    .set("f32", "float32", Math.fround(0.1))
    .set("yes", "bool", true)
    .set("text", "string", "zero \0 and é")
    .set("u64", "uint64", 2n ** 64n - 1n)
    .set("i64", "int64", -(2n ** 63n))
    .set("f64", "float64", 0.1)
    .set("words", "array", MetadataArray.of("string", ["a", "", "▁b"]))
    .set("numbers", "array", MetadataArray.of("int32", [1, -1]))
    .set("empty", "array", MetadataArray.of("uint8", []))
    .set("nested", "array", MetadataArray.of("array", nested));
}

function everyTensorType(): (GgufTensorSource & { bytes: Uint8Array })[] {
  const random = new Random(5);
  return (Object.keys(GGML_TYPES) as GgmlType[]).map((type) => {
    const columns = GGML_TYPES[type].blockSize * 3;
    const bytes = new Uint8Array(rowSizeBytes(type, columns) * 10).map(() => random.integer(256));
    return { ...tensor(`all.${type}`, [columns, 5, 2], type, bytes), bytes };
  });
}

test("writeGguf() and readGguf() keep every metadata type and every ggml type", async () => {
  const path = join(folder, "every.gguf");
  const metadata = everyMetadataType();
  const tensors = everyTensorType();
  const { sizeBytes, sha256 } = await writeGguf(path, { metadata, tensors });
  const file = readFileSync(path);
  expect(file.byteLength).toBe(sizeBytes);
  expect(createHash("sha256").update(file).digest("hex")).toBe(sha256);
  expect(ggufSizeBytes({ metadata, tensors })).toBe(sizeBytes);

  const gguf = await readGguf(path);
  expect([...gguf.metadata.entries()]).toEqual([...metadata.entries()]);
  expect(gguf.metadata.get("u64")).toBe(2n ** 64n - 1n);
  expect(gguf.tensors.map(({ name, shape, type }) => ({ name, shape, type }))).toEqual(
    tensors.map(({ name, shape, type }) => ({ name, shape, type })),
  );
  for (const { name, bytes } of tensors) expect(await gguf.readTensor(name), name).toEqual(bytes);
  await gguf.close();
});

test("writeGguf() puts tensors one after the other on the alignment, as llama.cpp wants them", async () => {
  const path = join(folder, "aligned.gguf");
  const tensors = [3, 1, 100].map((count, i) => tensor(`t${i}`, [count], "i8", new Uint8Array(count).fill(i + 1)));
  await writeGguf(path, { metadata: new Metadata(), tensors, alignment: 64 });
  const gguf = await readGguf(path);
  expect(gguf.alignment).toBe(64);
  expect(gguf.tensors.map(({ offset }) => offset - gguf.tensors[0]!.offset)).toEqual([0, 64, 128]);
  expect(gguf.sizeBytes).toBe(gguf.tensors[0]!.offset + 64 + 64 + 128);
  await gguf.close();
});

test("writeGguf() streams chunks of any size", async () => {
  const path = join(folder, "chunks.gguf");
  async function* chunks() {
    for (const size of [1, 0, 5, 26]) yield new Uint8Array(size).fill(size);
  }
  await writeGguf(path, { metadata: new Metadata(), tensors: [{ name: "t", shape: [8], type: "f32", chunks }] });
  const gguf = await readGguf(path);
  expect([...(await gguf.readTensor("t")).subarray(0, 7)]).toEqual([1, 5, 5, 5, 5, 5, 26]);
  await gguf.close();
});

test.each([
  ["fewer", 31, '31 bytes came for tensor "t", 32 are wanted'],
  ["more", 33, 'more than 32 bytes came for tensor "t", 32 are wanted'],
])("writeGguf() refuses %s bytes than the shape takes, and leaves nothing", async (_what, size, message) => {
  const path = join(folder, "wrong.gguf");
  const contents = { metadata: new Metadata(), tensors: [tensor("t", [8], "f32", new Uint8Array(size))] };
  await expect(writeGguf(path, contents)).rejects.toThrow(message);
  expect(readdirSync(folder).filter((name) => name.includes("wrong"))).toEqual([]);
});

test("writeGguf() leaves the old file when a stream fails or the caller stops", async () => {
  const path = join(folder, "old.gguf");
  const metadata = new Metadata().set("is", "string", "old");
  await writeGguf(path, { metadata, tensors: [] });
  const before = readFileSync(path);
  const failing = { ...tensor("t", [8], "f32", new Uint8Array(32)), chunks: () => fail() };
  await expect(writeGguf(path, { metadata, tensors: [failing] })).rejects.toThrow("no more");
  const controller = new AbortController();
  const stopping = { ...failing, chunks: () => stop(controller) };
  await expect(writeGguf(path, { metadata, tensors: [stopping] }, { signal: controller.signal })).rejects.toThrow(
    /abort/,
  );
  expect(readFileSync(path)).toEqual(before);
  expect(readdirSync(folder).filter((name) => name.includes("old"))).toEqual(["old.gguf"]);
});

function* fail(): Generator<Uint8Array> {
  yield new Uint8Array(16);
  throw new Error("no more");
}

function* stop(controller: AbortController): Generator<Uint8Array> {
  yield new Uint8Array(16);
  controller.abort();
  yield new Uint8Array(16);
}

test.each([
  [
    "a name twice",
    [tensor("t", [1], "i8", new Uint8Array(1)), tensor("t", [1], "i8", new Uint8Array(1))],
    "given twice",
  ],
  ["a long name", [tensor("n".repeat(64), [1], "i8", new Uint8Array(1))], "has 64 bytes, 1 to 63 are wanted"],
  ["no dimension", [tensor("t", [], "i8", new Uint8Array(1))], "1 to 4 dimensions above 0 are wanted"],
  ["a dimension of 0", [tensor("t", [4, 0], "i8", new Uint8Array(0))], "1 to 4 dimensions above 0 are wanted"],
  ["half a block", [tensor("t", [16], "q4_0", new Uint8Array(9))], "not a multiple of the 32 in a block of q4_0"],
])("writeGguf() refuses %s", async (_what, tensors, message) => {
  await expect(writeGguf(join(folder, "no.gguf"), { metadata: new Metadata(), tensors })).rejects.toThrow(message);
});

test("writeGguf() refuses an alignment that is no power of two", async () => {
  const contents = { metadata: new Metadata(), tensors: [], alignment: 48 };
  await expect(writeGguf(join(folder, "no.gguf"), contents)).rejects.toThrow("The alignment is 48");
});

test("writeGguf() reports its progress in bytes", async () => {
  const seen: number[] = [];
  const tensors = [tensor("a", [8], "f32", new Uint8Array(32)), tensor("b", [8], "f32", new Uint8Array(32))];
  const options = { onProgress: ({ done, total }: { done: number; total?: number }) => seen.push(done / total!) };
  await writeGguf(join(folder, "progress.gguf"), { metadata: new Metadata(), tensors }, options);
  expect(seen.at(-1)).toBe(1);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
});
