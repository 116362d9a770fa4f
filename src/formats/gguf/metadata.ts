// GGUF's key-value section as an ordered, typed map. A value is kept as the bytes that stood in the file and decoded
// when asked for: a vocabulary of 150 000 tokens costs nothing until someone reads it, and writing gives the same bytes.
import { MetadataArray, decodeValue } from "./metadata-array.js";
import { encodeValue } from "./metadata-encode.js";
import type { MetadataType, MetadataValue } from "./metadata-types.js";

export { MetadataArray } from "./metadata-array.js";
export type { MetadataType, MetadataValue } from "./metadata-types.js";

/** One key with its type and value. */
export interface MetadataEntry {
  readonly key: string;
  readonly type: MetadataType;
  /** Decoded on each reading. */
  readonly value: MetadataValue;
  /** The value as it stands in a file, without its type. */
  readonly encoded: Uint8Array;
}

/** An ordered map from keys to typed values. */
export class Metadata {
  readonly #entries = new Map<string, StoredEntry>();

  get size(): number {
    return this.#entries.size;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** The value's type, or undefined when the key is absent. */
  typeOf(key: string): MetadataType | undefined {
    return this.#entries.get(key)?.type;
  }

  get(key: string): MetadataValue | undefined {
    return this.#entries.get(key)?.value;
  }

  /**
   * A number; undefined when the key is absent.
   *
   * @throws {TypeError} when the value is of another type or beyond 2^53
   */
  number(key: string): number | undefined {
    return this.#typed(key, "a number", (value) => typeof value === "number");
  }

  /** @throws {TypeError} when the value is of another type */
  string(key: string): string | undefined {
    return this.#typed(key, "a string", (value) => typeof value === "string");
  }

  /** @throws {TypeError} when the value is of another type */
  boolean(key: string): boolean | undefined {
    return this.#typed(key, "true or false", (value) => typeof value === "boolean");
  }

  /** @throws {TypeError} when the value is of another type */
  array(key: string): MetadataArray | undefined {
    return this.#typed(key, "an array", (value) => value instanceof MetadataArray);
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  entries(): IterableIterator<MetadataEntry> {
    return this.#entries.values();
  }

  /**
   * Sets a value; a key that is there keeps its place.
   *
   * @throws {RangeError} when the value does not fit the type
   * @throws {TypeError} when the value is of another type
   */
  set(key: string, type: MetadataType, value: MetadataValue): this {
    return this.setEncoded(key, type, encodeValue(type, value));
  }

  /** Sets a value from its bytes, which the caller has checked and must not change. */
  setEncoded(key: string, type: MetadataType, encoded: Uint8Array): this {
    this.#entries.set(key, new StoredEntry(key, type, encoded));
    return this;
  }

  delete(key: string): boolean {
    return this.#entries.delete(key);
  }

  /** A copy that can be changed on its own. */
  clone(): Metadata {
    const copy = new Metadata();
    for (const { key, type, encoded } of this.entries()) copy.setEncoded(key, type, encoded);
    return copy;
  }

  #typed<Value extends MetadataValue>(key: string, wanted: string, accepts: (value: MetadataValue) => boolean) {
    const value = this.get(key);
    if (value === undefined || accepts(value)) return value as Value | undefined;
    const found = typeof value === "bigint" ? `${value}, which is beyond 2^53` : `of type ${this.typeOf(key)}`;
    throw new TypeError(`metadata "${key}" is ${found}, ${wanted} is wanted`);
  }
}

class StoredEntry implements MetadataEntry {
  constructor(
    readonly key: string,
    readonly type: MetadataType,
    readonly encoded: Uint8Array,
  ) {}

  get value(): MetadataValue {
    return decodeValue(this.type, this.encoded);
  }
}
