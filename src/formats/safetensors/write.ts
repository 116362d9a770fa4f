// Writes a safetensors file from streams, header first. The file appears whole under its name or not at all.
import { FormatError } from "../../errors.js";
import { AtomicFile, requireDisk } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { SAFETENSORS_DTYPES, type SafetensorsDtype } from "./dtypes.js";

/** A tensor to write. */
export interface SafetensorsTensorSource {
  name: string;
  dtype: SafetensorsDtype;
  /** Elements per dimension in PyTorch's order: the row's length last. */
  shape: readonly number[];
  /** Its bytes from first to last, in pieces of any size; called once. */
  chunks: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** PyTorch's readers look for this; others don't mind. */
const METADATA = { format: "pt" };

/**
 * Writes a safetensors file.
 *
 * @returns its size
 * @throws {ResourceError} when the disk has no room for it
 * @throws {RangeError} when two tensors have the same name
 * @throws {FormatError} when a tensor's chunks are more or fewer bytes than its shape takes
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly SafetensorsTensorSource[],
  options: RunOptions = {},
): Promise<{ sizeBytes: number }> {
  const { header, sizes, sizeBytes } = layOut(tensors);
  await requireDisk(path, sizeBytes);
  await using file = await AtomicFile.create(path);
  await file.write(header);
  for (const [index, { name, chunks }] of tensors.entries()) {
    const progress = { stage: "writing", total: sizeBytes, unit: "bytes" };
    options.onProgress?.({ ...progress, done: file.sizeBytes, detail: name });
    const start = file.sizeBytes;
    for await (const chunk of chunks()) {
      options.signal?.throwIfAborted();
      await file.write(chunk);
    }
    const found = file.sizeBytes - start;
    if (found !== sizes[index]) throw wrongLength(path, name, found, sizes[index]!);
  }
  await file.commit();
  return { sizeBytes };
}

function layOut(tensors: readonly SafetensorsTensorSource[]) {
  const entries: Record<string, unknown> = { __metadata__: METADATA };
  let offset = 0;
  const sizes = tensors.map(({ name, dtype, shape }) => {
    if (Object.hasOwn(entries, name)) throw new RangeError(`Tensor "${name}" is given twice`);
    const size = shape.reduce((product, length) => product * length, SAFETENSORS_DTYPES[dtype]);
    entries[name] = { dtype, shape, data_offsets: [offset, offset + size] };
    offset += size;
    return size;
  });
  const json = Buffer.from(JSON.stringify(entries));
  const length = Math.ceil(json.byteLength / 8) * 8; // so that the tensors are aligned
  const header = Buffer.alloc(8 + length, " ");
  header.writeBigUInt64LE(BigInt(length));
  header.set(json, 8);
  return { header, sizes, sizeBytes: header.byteLength + offset };
}

function wrongLength(path: string, name: string, found: number, wanted: number): FormatError {
  const message = `Cannot write "${path}": ${found} bytes came for tensor "${name}", ${wanted} are wanted`;
  return new FormatError(path, message);
}
