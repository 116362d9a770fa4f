// The older importance file of llama.cpp's tools (`.dat`): no magic number, 32-bit little-endian throughout:
//   entries; then per entry: name length, name, chunks, values, values × float (mean square × chunks);
//   then, in newer ones: chunks in all, length of the dataset's name, that name.
import { FormatError } from "../errors.js";
import { type Importance, type ImportanceEntry, importanceEntry, largestCount } from "./importance.js";

const ENTRIES_MAX = 1_000_000;
const NAME_BYTES_MAX = 1024;

/** Bytes that tell such a file from others: the entry count and the first entry's name. */
export const LEGACY_HEAD_BYTES = 8 + NAME_BYTES_MAX;

/**
 * True where a file starts as a `.dat` file does: counts in bounds and a printable name. No text does, as the upper bytes
 * of the counts are 0.
 *
 * @param head its first `LEGACY_HEAD_BYTES`, or all where it has less
 */
export function isLegacyImatrix(head: Uint8Array): boolean {
  if (head.length < 8) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const [entries, nameBytes] = [view.getInt32(0, true), view.getInt32(4, true)];
  if (entries < 1 || entries > ENTRIES_MAX || nameBytes < 1 || nameBytes > NAME_BYTES_MAX) return false;
  const name = head.subarray(8, 8 + nameBytes);
  return name.length === nameBytes && name.every((byte) => byte > 0x20 && byte < 0x7f);
}

/**
 * Decodes a `.dat` file. Its counts are in chunks (`chunkSize` 0), one for all matrices of a stack.
 *
 * @throws {FormatError} at the first length, count or value that can't be
 */
export function decodeLegacyImatrix(path: string, bytes: Uint8Array): Importance {
  const cursor = new Cursor(path, bytes);
  const entriesTotal = cursor.integer("entry count", 1, ENTRIES_MAX);
  const entries = new Map<string, ImportanceEntry>();
  for (let i = 0; i < entriesTotal; i++) {
    const name = cursor.text(`name of entry ${i}`, NAME_BYTES_MAX);
    if (entries.has(name)) throw cursor.failure(`"${name}" appears twice`);
    // A file without chunks per entry holds plain means: one chunk, then.
    const chunks = Math.max(1, cursor.integer(`chunk count of "${name}"`, -(2 ** 31), 2 ** 31 - 1));
    const sums = cursor.floats(`values of "${name}"`);
    entries.set(name, importanceEntry(sums, Float32Array.of(chunks)));
  }
  // Files from before 2024 end here.
  const chunkCount = cursor.remaining >= 4 ? cursor.integer("chunk count", -(2 ** 31), 2 ** 31 - 1) : 0;
  const dataset = cursor.remaining >= 4 ? cursor.text("dataset name", 65_536) : "";
  return { entries, chunkCount: Math.max(0, chunkCount), chunkSize: 0, datasets: dataset === "" ? [] : [dataset] };
}

/**
 * Encodes importance data as a `.dat` file: mean square × chunks for each column, 1 × chunks for a matrix that saw no
 * input. An entry that saw none at all is left out, as this format can't say so.
 */
export function encodeLegacyImatrix(importance: Importance): Uint8Array {
  const text = new TextEncoder();
  const seen = [...importance.entries]
    .filter(([, entry]) => largestCount([entry]) > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const parts: Uint8Array[] = [int32(seen.length)];
  for (const [name, entry] of seen) {
    const nameBytes = text.encode(name);
    const chunks =
      importance.chunkSize === 0 ? entry.counts[0]! : Math.ceil(largestCount([entry]) / importance.chunkSize);
    const values = importance.chunkSize === 0 ? entry.sums : meansTimesChunks(entry, chunks);
    parts.push(int32(nameBytes.length), nameBytes, int32(chunks), int32(values.length));
    parts.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  const dataset = text.encode(importance.datasets.at(-1) ?? "");
  parts.push(int32(importance.chunkCount), int32(dataset.length), dataset);
  return Buffer.concat(parts);
}

function meansTimesChunks({ sums, counts, columns }: ImportanceEntry, chunks: number): Float32Array {
  return sums.map((sum, i) => {
    const count = Math.fround(counts[Math.floor(i / columns)]!);
    return count === 0 ? chunks : Math.fround(sum / count) * chunks;
  });
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/** Reads forward through the file; nothing is allocated before the length that asks for it is checked. */
class Cursor {
  readonly #path: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(path: string, bytes: Uint8Array) {
    this.#path = path;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  failure(reason: string): FormatError {
    return new FormatError(this.#path, `Cannot read importance data "${this.#path}": ${reason}`, {
      hint: "Make it with `pare calibrate` or llama-imatrix",
    });
  }

  integer(what: string, least: number, most: number): number {
    this.#require(what, 4);
    const value = this.#view.getInt32(this.#offset, true);
    if (value < least || value > most) throw this.failure(`${what} is ${value}, expected ${least} to ${most}`);
    this.#offset += 4;
    return value;
  }

  text(what: string, bytesMax: number): string {
    const length = this.integer(`length of ${what}`, 0, bytesMax);
    this.#require(what, length);
    const value = new TextDecoder().decode(this.#bytes.subarray(this.#offset, this.#offset + length));
    this.#offset += length;
    return value;
  }

  floats(what: string): Float32Array {
    const count = this.integer(`number of ${what}`, 1, 2 ** 31 - 1);
    this.#require(what, count * 4);
    const values = new Float32Array(
      new Uint8Array(this.#bytes.subarray(this.#offset, this.#offset + count * 4)).buffer,
    );
    const bad = values.findIndex((value) => !(value >= 0 && value < Infinity));
    if (bad >= 0) throw this.failure(`${what}: number ${bad} is ${values[bad]}, expected a sum of squares`);
    this.#offset += count * 4;
    return values;
  }

  #require(what: string, sizeBytes: number): void {
    if (sizeBytes <= this.remaining) return;
    throw this.failure(`${what} needs ${sizeBytes} bytes, ${this.remaining} are left`);
  }
}
