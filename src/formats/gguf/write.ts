// Writes a GGUF file (v3, little-endian) from streams: the header first, then tensor after tensor, hashed on the way
// where that is wanted.
// The file appears whole under its name or not at all.
import { createHash } from "node:crypto";

import { FormatError } from "../../errors.js";
import { AtomicFile, requireDisk } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { GGML_TYPES, type GgmlType, rowSizeBytes } from "./ggml-types.js";
import { encodeString } from "./metadata-encode.js";
import { METADATA_TYPES } from "./metadata-types.js";
import type { Metadata } from "./metadata.js";
import { ALIGNMENT_DEFAULT } from "./read-header.js";

const MAGIC = 0x46554747; // "GGUF"
const VERSION = 3;

/** A tensor to write. */
export interface GgufTensorSource {
  name: string;
  /** Elements per dimension in ggml order: the row's length first. */
  shape: readonly number[];
  type: GgmlType;
  /** Its bytes from first to last, in pieces of any size; called once. */
  chunks: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** What goes into a file. */
export interface GgufContents {
  metadata: Metadata;
  tensors: readonly GgufTensorSource[];
  /** Power of two; by default what `general.alignment` says, or 32. */
  alignment?: number;
}

export interface WriteGgufOptions extends RunOptions {
  /** False saves the time that the SHA-256 takes: some 0.5 s per GB. */
  hash?: boolean;
}

/** What was written. */
export interface WrittenGguf {
  sizeBytes: number;
  sha256: string;
}

/**
 * Writes a GGUF file.
 *
 * @returns its size and, unless `options.hash` is false, the SHA-256 of its bytes
 * @throws {ResourceError} when the disk has no room for it
 * @throws {RangeError} when a name, a shape or the alignment can't stand in a file
 * @throws {FormatError} when a tensor's chunks are more or fewer bytes than its shape takes
 */
export function writeGguf(
  path: string,
  contents: GgufContents,
  options?: WriteGgufOptions & { hash?: true },
): Promise<WrittenGguf>;
export function writeGguf(
  path: string,
  contents: GgufContents,
  options?: WriteGgufOptions,
): Promise<Omit<WrittenGguf, "sha256"> & Partial<WrittenGguf>>;
export async function writeGguf(
  path: string,
  contents: GgufContents,
  options: WriteGgufOptions = {},
): Promise<Omit<WrittenGguf, "sha256"> & Partial<WrittenGguf>> {
  const { header, tensors, sizeBytes } = layOut(contents);
  await requireDisk(path, sizeBytes);
  await using file = await AtomicFile.create(path);
  const hash = options.hash === false ? undefined : createHash("sha256");
  const put = async (bytes: Uint8Array) => {
    options.signal?.throwIfAborted();
    if (bytes.byteLength === 0) return;
    hash?.update(bytes);
    await file.write(bytes);
  };
  await put(header);
  for (const tensor of tensors) {
    options.onProgress?.({
      stage: "writing",
      done: file.sizeBytes,
      total: sizeBytes,
      unit: "bytes",
      detail: tensor.name,
    });
    let done = 0;
    for await (const chunk of tensor.chunks()) {
      done += chunk.byteLength;
      if (done > tensor.sizeBytes) break;
      await put(chunk);
    }
    if (done !== tensor.sizeBytes) throw wrongLength(path, tensor, done);
    await put(new Uint8Array(tensor.paddedSizeBytes - tensor.sizeBytes));
  }
  options.signal?.throwIfAborted();
  await file.commit();
  options.onProgress?.({ stage: "writing", done: sizeBytes, total: sizeBytes, unit: "bytes" });
  return { sizeBytes, ...(hash && { sha256: hash.digest("hex") }) };
}

/** Exact bytes of the file that `writeGguf` makes of these contents. */
export function ggufSizeBytes(
  contents: Omit<GgufContents, "tensors"> & { tensors: readonly Omit<GgufTensorSource, "chunks">[] },
): number {
  return layOut(contents).sizeBytes;
}

interface PlacedTensor {
  sizeBytes: number;
  paddedSizeBytes: number;
}

function layOut<Tensor extends Omit<GgufTensorSource, "chunks">>(
  contents: Omit<GgufContents, "tensors"> & { tensors: readonly Tensor[] },
) {
  const metadata = contents.metadata.clone();
  const alignment = contents.alignment ?? metadata.number("general.alignment") ?? ALIGNMENT_DEFAULT;
  checkAlignment(alignment);
  if (alignment !== (metadata.number("general.alignment") ?? ALIGNMENT_DEFAULT)) {
    metadata.set("general.alignment", "uint32", alignment);
  }
  const names = new Set<string>();
  let offset = 0;
  const rows: Uint8Array[] = [];
  const tensors = contents.tensors.map((tensor): Tensor & PlacedTensor => {
    if (names.has(tensor.name)) throw new RangeError(`Tensor "${tensor.name}" is given twice`);
    names.add(tensor.name);
    const sizeBytes = tensorSizeBytes(tensor);
    const paddedSizeBytes = padded(sizeBytes, alignment);
    rows.push(encodeTensorInfo(tensor, offset));
    offset += paddedSizeBytes;
    return { ...tensor, sizeBytes, paddedSizeBytes };
  });
  const header = encodeHeader(metadata, rows, alignment);
  return { header, tensors, sizeBytes: header.byteLength + offset };
}

function encodeHeader(metadata: Metadata, rows: readonly Uint8Array[], alignment: number): Uint8Array {
  const counts = new DataView(new ArrayBuffer(24));
  counts.setUint32(0, MAGIC, true);
  counts.setUint32(4, VERSION, true);
  counts.setBigUint64(8, BigInt(rows.length), true);
  counts.setBigUint64(16, BigInt(metadata.size), true);
  const parts: Uint8Array[] = [new Uint8Array(counts.buffer)];
  for (const { key, type, encoded } of metadata.entries()) {
    parts.push(encodeString(key), encodeUint32(METADATA_TYPES.indexOf(type)), encoded);
  }
  parts.push(...rows);
  const sizeBytes = parts.reduce((total, part) => total + part.byteLength, 0);
  const header = new Uint8Array(rows.length === 0 ? sizeBytes : padded(sizeBytes, alignment));
  let offset = 0;
  for (const part of parts) {
    header.set(part, offset);
    offset += part.byteLength;
  }
  return header;
}

/** Name, dimension count, dimensions, type, offset. */
function encodeTensorInfo({ name, shape, type }: Omit<GgufTensorSource, "chunks">, offset: number): Uint8Array {
  const label = encodeString(name);
  if (label.byteLength === 8 || label.byteLength > 8 + 63) {
    throw new RangeError(`Tensor name "${name}" has ${label.byteLength - 8} bytes, 1 to 63 are wanted`);
  }
  const row = new Uint8Array(label.byteLength + 4 + 8 * shape.length + 4 + 8);
  row.set(label);
  const view = new DataView(row.buffer, label.byteLength);
  view.setUint32(0, shape.length, true);
  for (const [i, length] of shape.entries()) view.setBigUint64(4 + 8 * i, BigInt(length), true);
  view.setUint32(4 + 8 * shape.length, GGML_TYPES[type].id, true);
  view.setBigUint64(8 + 8 * shape.length, BigInt(offset), true);
  return row;
}

function encodeUint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function tensorSizeBytes({ name, shape, type }: Omit<GgufTensorSource, "chunks">): number {
  if (shape.length < 1 || shape.length > 4 || !shape.every((length) => Number.isSafeInteger(length) && length > 0)) {
    throw new RangeError(`Tensor "${name}" has shape ${shape.join(" × ")}, 1 to 4 dimensions above 0 are wanted`);
  }
  return shape.slice(1).reduce((size, length) => size * length, rowSizeBytes(type, shape[0]!));
}

function checkAlignment(alignment: number): void {
  if (Number.isInteger(Math.log2(alignment)) && alignment >= 1 && alignment < 2 ** 32) return;
  throw new RangeError(`The alignment is ${alignment}, a power of two is wanted`);
}

function padded(sizeBytes: number, alignment: number): number {
  return Math.ceil(sizeBytes / alignment) * alignment;
}

function wrongLength(path: string, tensor: { name: string; sizeBytes: number }, done: number): FormatError {
  const found = done > tensor.sizeBytes ? `more than ${tensor.sizeBytes}` : `${done}`;
  return new FormatError(
    path,
    `Cannot write "${path}": ${found} bytes came for tensor "${tensor.name}", ${tensor.sizeBytes} are wanted`,
  );
}
