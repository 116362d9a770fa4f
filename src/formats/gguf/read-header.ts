// The header of one GGUF file (v2, v3, little-endian): metadata and tensor table, every number checked before it is
// believed. The bytes are fetched in doubling chunks, so a header costs its own size and not the file's.
import type { ByteSource } from "./bytes.js";
import { type TensorInfo, readTensorTable } from "./read-tensor-table.js";
import { HeaderCursor, NeedsMore } from "./header-cursor.js";
import { skipValue } from "./skip-value.js";
import { METADATA_TYPES } from "./metadata-types.js";
import { Metadata } from "./metadata.js";

/** Counts beyond these are damage: the largest models have some thousand tensors and a hundred entries. */
const TENSORS_MAX = 50_000;
const ENTRIES_MAX = 50_000;
/** Keys end at 2^16 bytes by the GGUF specification. */
const KEY_BYTES_MAX = 65_535;
/** Least bytes an entry takes: key length 8, key 1, type 4, value 1. */
const ENTRY_BYTES_MIN = 14;
/** Least bytes a tensor takes: name length 8, name 1, dimensions 4 + 8, type 4, offset 8. */
const TENSOR_BYTES_MIN = 33;

/** Alignment of tensors when `general.alignment` does not say. */
export const ALIGNMENT_DEFAULT = 32;

/** What stands before the tensors' bytes. */
export interface GgufHeader {
  version: number;
  metadata: Metadata;
  tensors: TensorInfo[];
  alignment: number;
  /** Where the tensors' bytes start. */
  dataOffset: number;
}

/**
 * Reads and checks a file's header.
 *
 * @throws {FormatError} naming what is wrong
 */
export async function readHeader(source: ByteSource, options: { signal?: AbortSignal } = {}): Promise<GgufHeader> {
  const parser = new HeaderParser(source);
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      return parser.parse();
    } catch (thrown) {
      if (!(thrown instanceof NeedsMore)) throw thrown;
      await parser.cursor.fetch(thrown.end);
    }
  }
}

/** Parses item by item; `parse()` goes on where it stopped for want of bytes. */
class HeaderParser {
  readonly cursor: HeaderCursor;
  readonly #sizeBytes: number;
  readonly #metadata = new Metadata();
  readonly #tensors: TensorInfo[] = [];
  #counts: { version: number; tensors: number; entries: number } | undefined;

  constructor(source: ByteSource) {
    this.cursor = new HeaderCursor(source);
    this.#sizeBytes = source.sizeBytes;
  }

  parse(): GgufHeader {
    this.#counts ??= this.#readCounts();
    while (this.#metadata.size < this.#counts.entries) this.#readEntry();
    const alignment = this.#alignment();
    readTensorTable(this.cursor, this.#tensors, this.#counts.tensors);
    const dataOffset = Math.ceil(this.cursor.offset / alignment) * alignment;
    this.#placeTensors(dataOffset, alignment);
    return {
      version: this.#counts.version,
      metadata: this.#metadata,
      tensors: this.#tensors,
      alignment,
      dataOffset,
    };
  }

  #readCounts() {
    const { cursor } = this;
    if (this.#sizeBytes === 0) throw cursor.failure("it is empty");
    const magic = cursor.uint32("the magic");
    if (magic !== 0x46554747) throw cursor.failure(`it starts with ${magicText(magic)}, "GGUF" is wanted`);
    const version = cursor.uint32("the version");
    this.#checkVersion(version);
    const tensors = cursor.count("the tensor count");
    const entries = cursor.count("the metadata count");
    this.#checkCount("tensor count", tensors, TENSORS_MAX, TENSOR_BYTES_MIN);
    this.#checkCount("metadata count", entries, ENTRIES_MAX, ENTRY_BYTES_MIN);
    cursor.commit();
    return { version, tensors, entries };
  }

  #checkVersion(version: number): void {
    if (version === 2 || version === 3) return;
    if (version !== 0 && (version & 0xffff) === 0) {
      throw this.cursor.failure("it is big-endian, little-endian is wanted", {
        hint: "Convert it with gguf_convert_endian.py of llama.cpp",
      });
    }
    throw this.cursor.failure(`it is of version ${version}, version 2 or 3 is wanted`, {
      hint: version === 1 ? "Convert the model again with a current llama.cpp" : undefined,
    });
  }

  #checkCount(what: string, count: number, countMax: number, bytesMin: number): void {
    if (count > countMax) throw this.cursor.failure(`${what} ${count} exceeds ${countMax}`);
    const remaining = this.cursor.remainingBytes;
    if (count * bytesMin > remaining) {
      throw this.cursor.failure(`${what} ${count} does not fit in the ${remaining} bytes that are left`);
    }
  }

  #readEntry(): void {
    const { cursor } = this;
    const ordinal = this.#metadata.size + 1;
    const key = cursor.name(`metadata key ${ordinal}`, KEY_BYTES_MAX);
    if (this.#metadata.has(key)) throw cursor.failure(`metadata "${key}" is there twice`);
    const what = `metadata "${key}"`;
    const typeId = cursor.uint32(`the type of ${what}`);
    const type = METADATA_TYPES[typeId];
    if (!type) throw cursor.failure(`${what} is of type ${typeId}, a type below ${METADATA_TYPES.length} is wanted`);
    const start = cursor.offset;
    skipValue(cursor, type, what);
    this.#metadata.setEncoded(key, type, cursor.bytesSince(start));
    cursor.commit();
  }

  #alignment(): number {
    const type = this.#metadata.typeOf("general.alignment");
    if (type === undefined) return ALIGNMENT_DEFAULT;
    if (type !== "uint32") throw this.cursor.failure(`general.alignment is of type ${type}, uint32 is wanted`);
    const alignment = this.#metadata.number("general.alignment")!;
    if (alignment === 0 || !Number.isInteger(Math.log2(alignment))) {
      throw this.cursor.failure(`general.alignment is ${alignment}, a power of two is wanted`);
    }
    return alignment;
  }

  /** Turns offsets within the data into offsets within the file, and checks that each tensor has bytes of its own. */
  #placeTensors(dataOffset: number, alignment: number): void {
    for (const tensor of this.#tensors) {
      if (tensor.offset % alignment !== 0) {
        throw this.cursor.failure(
          `tensor "${tensor.name}" is at ${tensor.offset}, a multiple of ${alignment} is wanted`,
        );
      }
      tensor.offset += dataOffset;
      const end = tensor.offset + tensor.sizeBytes;
      if (end <= this.#sizeBytes) continue;
      throw this.cursor.failure(`tensor "${tensor.name}" ends at byte ${end}, the file at ${this.#sizeBytes}`, {
        hint: "The file is incomplete; copy or download it again",
      });
    }
    const ordered = this.#tensors.toSorted((a, b) => a.offset - b.offset);
    for (const [i, tensor] of ordered.entries()) {
      const previous = ordered[i - 1];
      if (!previous || previous.offset + previous.sizeBytes <= tensor.offset) continue;
      throw this.cursor.failure(`tensors "${previous.name}" and "${tensor.name}" share bytes`);
    }
  }
}

function magicText(magic: number): string {
  const bytes = [0, 8, 16, 24].map((shift) => (magic >>> shift) & 0xff);
  const isText = bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isText
    ? `"${String.fromCharCode(...bytes)}"`
    : `bytes ${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}`;
}
