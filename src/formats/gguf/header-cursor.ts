// The part of a GGUF header that was fetched so far, and a place in it. Reading past it asks for more by throwing
// `NeedsMore`; the parser then goes back to the last whole item, which keeps parsing synchronous and fetching lazy.
import { FormatError } from "../../errors.js";
import { formatBytes } from "../../support/units.js";
import type { ByteSource } from "./bytes.js";

/** The first chunk that is fetched; later ones double what is there. */
const CHUNK_BYTES = 65_536;
/** Longest header: several times the largest vocabularies in use, and what a hostile file can make us hold. */
const HEADER_BYTES_MAX = 48 * 2 ** 20;
/** Bytes per read, so that what is fetched is not held twice. */
const READ_BYTES = 4 * 2 ** 20;

const UTF8_STRICT = new TextDecoder("utf-8", { fatal: true });

/** Thrown when an item ends beyond the bytes at hand; no failure. */
export class NeedsMore {
  constructor(readonly end: number) {}
}

/** Reads little-endian numbers and strings, and never past the file's end. */
export class HeaderCursor {
  readonly #source: ByteSource;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #offset = 0;
  #committed = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Bytes from here to the file's end. */
  get remainingBytes(): number {
    return this.#source.sizeBytes - this.#offset;
  }

  /** Marks an item as read: parsing resumes here after more was fetched. */
  commit(): void {
    this.#committed = this.#offset;
  }

  /** Fetches up to `end` at least and returns to the last whole item. */
  async fetch(end: number): Promise<void> {
    const have = this.#bytes.byteLength;
    const wanted = Math.max(end, 2 * have, CHUNK_BYTES);
    const sizeBytes = Math.min(wanted, this.#source.sizeBytes, HEADER_BYTES_MAX);
    const bytes = new Uint8Array(sizeBytes);
    bytes.set(this.#bytes);
    for (let offset = have; offset < sizeBytes; offset += READ_BYTES) {
      bytes.set(await this.#source.read(offset, Math.min(READ_BYTES, sizeBytes - offset)), offset);
    }
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    this.#offset = this.#committed;
  }

  /** Makes sure that `count` bytes are here, without moving. */
  need(count: number, what: string): void {
    const end = this.#offset + count;
    if (end <= this.#bytes.byteLength) return;
    if (end > this.#source.sizeBytes) {
      throw this.failure(`it ends at byte ${this.#source.sizeBytes}, within ${what}`, {
        hint: "The file is incomplete; copy or download it again",
      });
    }
    if (end > HEADER_BYTES_MAX) {
      throw this.failure(`its header goes beyond ${formatBytes(HEADER_BYTES_MAX)} with ${what}`);
    }
    throw new NeedsMore(end);
  }

  skip(count: number, what: string): void {
    this.need(count, what);
    this.#offset += count;
  }

  uint32(what: string): number {
    this.need(4, what);
    const value = this.#view.getUint32(this.#offset, true);
    this.#offset += 4;
    return value;
  }

  /** A 64-bit count, length or offset: more than 2^53 can't be meant. */
  count(what: string): number {
    this.need(8, what);
    const low = this.#view.getUint32(this.#offset, true);
    const high = this.#view.getUint32(this.#offset + 4, true);
    const value = high * 2 ** 32 + low;
    if (high >= 2 ** 21)
      throw this.failure(`${what} ${this.#view.getBigUint64(this.#offset, true)} is impossibly large`);
    this.#offset += 8;
    return value;
  }

  /** A short name: its length, then UTF-8. */
  name(what: string, bytesMax: number): string {
    const length = this.count(`the length of ${what}`);
    if (length > bytesMax) throw this.failure(`the length of ${what}, ${length} bytes, exceeds ${bytesMax}`);
    if (length === 0) throw this.failure(`${what} is empty`);
    this.need(length, what);
    const bytes = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    try {
      return UTF8_STRICT.decode(bytes);
    } catch (cause) {
      throw this.failure(`${what} is not UTF-8`, { cause });
    }
  }

  /** Skips a string value, which may hold any bytes. */
  skipString(what: string): void {
    const length = this.count(`the length of ${what}`);
    if (length > this.remainingBytes) {
      throw this.failure(`the length of ${what}, ${length} bytes, exceeds the ${this.remainingBytes} that are left`);
    }
    this.skip(length, what);
  }

  /** The bytes from `start` to here, shared with the header. */
  bytesSince(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.#offset);
  }

  failure(message: string, options: { hint?: string; cause?: unknown } = {}): FormatError {
    return new FormatError(this.#source.path, `Cannot read GGUF "${this.#source.path}": ${message}`, options);
  }
}
