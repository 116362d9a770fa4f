// The files that carry importance data, both forms: what is written is read, and what is damaged is refused.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { FormatError } from "../errors.js";
import { Metadata } from "../formats/gguf/metadata.js";
import { readGguf } from "../formats/gguf/read.js";
import { writeGguf } from "../formats/gguf/write.js";
import { Random } from "../support/random.js";
import { type Importance, importanceEntry, meanSquares } from "./importance.js";
import { encodeLegacyImatrix } from "./legacy-imatrix.js";
import { readImportance } from "./read-imatrix.js";
import { writeImportance } from "./write-imatrix.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pare-imatrix-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const floats = (...values: number[]) => Float32Array.from(values);

function sample(): Importance {
  return {
    entries: new Map([
      ["blk.1.ffn_down_exps.weight", importanceEntry(floats(4, 6, 0, 0, 7, 9), floats(1000, 0, 24))],
      ["blk.0.attn_q.weight", importanceEntry(floats(1.5, 2.5, 3.5), floats(1024))],
    ]),
    chunkCount: 2,
    chunkSize: 512,
    datasets: ["calm.txt"],
  };
}

function legacyBytes(...parts: (number | string | Float32Array)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string") return Buffer.from(part);
      return typeof part === "number" ? Buffer.from(Int32Array.of(part).buffer) : Buffer.from(part.buffer);
    }),
  );
}

async function written(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

test("writeImportance() to GGUF keeps sums, counts, chunks and datasets", async () => {
  const path = join(folder, "whole.gguf");
  await writeImportance(path, sample());
  const read = await readImportance(path);
  expect([...read.entries.keys()]).toEqual(["blk.0.attn_q.weight", "blk.1.ffn_down_exps.weight"]);
  for (const [name, entry] of sample().entries) expect(read.entries.get(name)).toEqual(entry);
  expect(read).toMatchObject({ chunkCount: 2, chunkSize: 512, datasets: ["calm.txt"] });
});

test("writeImportance() names and shapes tensors as llama.cpp's tools do", async () => {
  const path = join(folder, "shapes.gguf");
  await writeImportance(path, sample());
  await using file = await readGguf(path);
  expect(file.metadata.string("general.type")).toBe("imatrix");
  expect(file.tensors.map(({ name, shape, type }) => [name, [...shape], type])).toEqual([
    ["blk.0.attn_q.weight.in_sum2", [3], "f32"],
    ["blk.0.attn_q.weight.counts", [1], "f32"],
    ["blk.1.ffn_down_exps.weight.in_sum2", [2, 3], "f32"],
    ["blk.1.ffn_down_exps.weight.counts", [1, 3], "f32"],
  ]);
});

test("writeImportance() to .dat keeps the mean squares, 1 for an expert never chosen", async () => {
  const path = join(folder, "older.dat");
  await writeImportance(path, sample());
  const read = await readImportance(path);
  expect(read).toMatchObject({ chunkCount: 2, chunkSize: 0, datasets: ["calm.txt"] });
  for (const [name, entry] of sample().entries) {
    const [wanted, found] = [meanSquares(entry), meanSquares(read.entries.get(name)!)];
    found.forEach((mean, i) => expect(Math.abs(mean / wanted[i]! - 1)).toBeLessThan(2 ** -22));
  }
});

test("writeImportance() gives the bytes of a .dat back that was read", async () => {
  const bytes = legacyBytes(1, 5, "a.out", 3, 2, floats(0.1, 0.7), 3, 5, "x.txt");
  const importance = await readImportance(await written("same.dat", bytes));
  await writeImportance(join(folder, "again.dat"), importance);
  expect(await readFile(join(folder, "again.dat"))).toEqual(bytes);
});

test("writeImportance() turns a .dat into a GGUF with the same mean squares", async () => {
  const path = await written("old.dat", legacyBytes(1, 5, "a.out", 3, 2, floats(0.1, 0.7), 3, 5, "x.txt"));
  const importance = await readImportance(path);
  await writeImportance(join(folder, "new.gguf"), importance);
  const converted = await readImportance(join(folder, "new.gguf"));
  expect(converted).toMatchObject({ chunkCount: 3, chunkSize: 512 });
  expect(meanSquares(converted.entries.get("a.out")!)).toEqual(meanSquares(importance.entries.get("a.out")!));
});

test("readImportance() accepts a .dat without chunk count and with means only", async () => {
  const read = await readImportance(await written("first.dat", legacyBytes(1, 5, "a.out", 0, 2, floats(0.25, 0.5))));
  expect([...meanSquares(read.entries.get("a.out")!)]).toEqual([0.25, 0.5]);
});

const damaged: [what: string, bytes: Uint8Array, reason: RegExp][] = [
  ["an empty file", legacyBytes(), /entry count needs 4 bytes, 0 are left/],
  ["text", Buffer.from("Once upon a time"), /entry count is \d+, expected 1 to 1000000/],
  ["no entries", legacyBytes(0), /entry count is 0/],
  ["a negative name length", legacyBytes(1, -1), /length of name of entry 0 is -1/],
  ["a name beyond the end", legacyBytes(1, 1000, "a"), /name of entry 0 needs 1000 bytes, 1 are left/],
  ["values beyond the end", legacyBytes(1, 1, "a", 1, 2 ** 31 - 1), /values of "a" needs 8589934588 bytes, 0 are left/],
  ["no values", legacyBytes(1, 1, "a", 1, 0), /number of values of "a" is 0/],
  ["NaN", legacyBytes(1, 1, "a", 1, 2, floats(1, NaN)), /values of "a": number 1 is NaN/],
  ["infinity", legacyBytes(1, 1, "a", 1, 1, floats(Infinity)), /number 0 is Infinity/],
  ["a negative square", legacyBytes(1, 1, "a", 1, 1, floats(-1)), /number 0 is -1/],
  ["a name twice", legacyBytes(2, 1, "a", 1, 1, floats(1), 1, "a", 1, 1, floats(1)), /"a" appears twice/],
  ["a dataset name beyond the end", legacyBytes(1, 1, "a", 1, 1, floats(1), 1, 9, "x"), /dataset name needs 9 bytes/],
];

test.each(damaged)("readImportance() refuses a .dat with %s", async (what, bytes, reason) => {
  const path = await written(`damaged-${what.replace(/\W/g, "-")}.dat`, bytes);
  const error: unknown = await readImportance(path).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(FormatError);
  expect((error as Error).message).toMatch(reason);
});

const f32 = (name: string, ...values: number[]) => ({
  name,
  shape: [values.length],
  type: "f32" as const,
  chunks: () => [new Uint8Array(floats(...values).buffer)],
});

test.each([
  ["no sums", [f32("a.other", 1)], /holds no "….in_sum2" tensor/],
  ["no counts", [f32("a.in_sum2", 1)], /tensor "a.counts" is missing/],
  ["lengths that don't divide", [f32("a.in_sum2", 1, 2, 3), f32("a.counts", 1, 1)], /3 sums and 2 counts/],
  ["NaN sums", [f32("a.in_sum2", NaN), f32("a.counts", 1)], /number 0 of "a.in_sum2" is NaN/],
  ["negative counts", [f32("a.in_sum2", 1), f32("a.counts", -1)], /number 0 of "a.counts" is -1/],
])("readImportance() refuses a GGUF with %s", async (what, tensors, reason) => {
  const path = join(folder, `damaged-${what.replace(/\W/g, "-")}.gguf`);
  await writeGguf(path, { metadata: new Metadata(), tensors });
  await expect(readImportance(path)).rejects.toThrow(reason);
});

test("readImportance() either reads or refuses a .dat with any byte changed", async () => {
  const random = new Random(7);
  const whole = encodeLegacyImatrix(sample());
  for (let i = 0; i < 300; i++) {
    const bytes = Uint8Array.from(whole).subarray(0, random.next() < 0.3 ? random.integer(whole.length) : undefined);
    for (let j = 0; j < 3 && bytes.length > 0; j++) bytes[random.integer(bytes.length)] = random.integer(256);
    const result = await readImportance(await written("mutated.dat", bytes)).catch((error: unknown) => error);
    if (result instanceof Error) expect(result).toBeInstanceOf(FormatError);
  }
});

test("readImportance() says when there is no such file", async () => {
  await expect(readImportance(join(folder, "absent.dat"))).rejects.toThrow("no such file");
});
