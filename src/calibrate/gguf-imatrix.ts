// Importance data as llama.cpp's tools keep it now: a GGUF file of type "imatrix" with two F32 tensors per layer,
// `<name>.in_sum2` [columns, matrices] and `<name>.counts` [1, matrices], and three metadata keys.
import { FormatError } from "../errors.js";
import { Metadata, MetadataArray } from "../formats/gguf/metadata.js";
import { type GgufFile, readGguf } from "../formats/gguf/read.js";
import { writeGguf } from "../formats/gguf/write.js";
import type { RunOptions } from "../support/progress.js";
import { type Importance, type ImportanceEntry, importanceEntry } from "./importance.js";

const SUMS = ".in_sum2";
const COUNTS = ".counts";

/**
 * Reads the GGUF form.
 *
 * @throws {FormatError} when a layer lacks one of its two tensors, or a number in them can't be
 */
export async function readGgufImatrix(path: string, signal?: AbortSignal): Promise<Importance> {
  await using file = await readGguf(path, { signal });
  const entries = new Map<string, ImportanceEntry>();
  for (const name of layerNames(file)) entries.set(name, await readEntry(file, name));
  if (entries.size === 0) {
    throw failure(path, `it holds no "…${SUMS}" tensor`, "Make it with `pare calibrate` or llama-imatrix");
  }
  return {
    entries,
    chunkCount: file.metadata.number("imatrix.chunk_count") ?? 0,
    // A file without it still counts tokens, so it must not pass for one that counts chunks.
    chunkSize: file.metadata.number("imatrix.chunk_size") || 512,
    datasets: file.metadata.array("imatrix.datasets")?.strings() ?? [],
  };
}

/** Writes the GGUF form, atomically, its tensors in the order of their names. */
export async function writeGgufImatrix(path: string, importance: Importance, options: RunOptions = {}): Promise<void> {
  const metadata = new Metadata()
    .set("general.type", "string", "imatrix")
    .set("imatrix.datasets", "array", MetadataArray.of("string", importance.datasets))
    .set("imatrix.chunk_count", "uint32", importance.chunkCount)
    .set("imatrix.chunk_size", "uint32", importance.chunkSize);
  const names = [...importance.entries.keys()].sort();
  const tensors = names.flatMap((name) => {
    const { sums, counts, columns, matrices } = importance.entries.get(name)!;
    return [tensor(name + SUMS, [columns, matrices], sums), tensor(name + COUNTS, [1, matrices], counts)];
  });
  await writeGguf(path, { metadata, tensors }, options);
}

function tensor(name: string, shape: [number, number], values: Float32Array) {
  return {
    name,
    shape: shape[1] === 1 ? [shape[0]] : shape, // llama.cpp writes no trailing dimension of 1 either
    type: "f32" as const,
    chunks: () => [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)],
  };
}

function layerNames(file: GgufFile): string[] {
  const names = new Set<string>();
  for (const { name } of file.tensors) {
    for (const suffix of [SUMS, COUNTS]) if (name.endsWith(suffix)) names.add(name.slice(0, -suffix.length));
  }
  return [...names].sort();
}

async function readEntry(file: GgufFile, name: string): Promise<ImportanceEntry> {
  const sums = await readFloats(file, name + SUMS);
  const counts = (await readFloats(file, name + COUNTS)).map(Math.round);
  if (counts.length === 0 || sums.length === 0 || sums.length % counts.length !== 0) {
    throw failure(file.path, `"${name}" has ${sums.length} sums and ${counts.length} counts, which don't divide`);
  }
  return importanceEntry(sums, counts);
}

async function readFloats(file: GgufFile, name: string): Promise<Float32Array> {
  const found = file.tensors.find((tensor) => tensor.name === name);
  if (!found) throw failure(file.path, `tensor "${name}" is missing`);
  if (found.type !== "f32") throw failure(file.path, `tensor "${name}" is ${found.type}, expected f32`);
  const values = new Float32Array(new Uint8Array(await file.readTensor(found)).buffer);
  const bad = values.findIndex((value) => !(value >= 0 && value < Infinity));
  if (bad >= 0) throw failure(file.path, `number ${bad} of "${name}" is ${values[bad]}, expected 0 or more`);
  return values;
}

function failure(path: string, reason: string, hint = "The file is damaged; make it again"): FormatError {
  return new FormatError(path, `Cannot read importance data "${path}": ${reason}`, { hint });
}
