// Decoding of metadata values, and arrays that stay bytes until they are read.
import { encodeArray } from "./metadata-encode.js";
import { METADATA_SIZES, METADATA_TYPES, type MetadataType, type MetadataValue } from "./metadata-types.js";

const UTF8 = new TextDecoder("utf-8");

/** Bytes before an array's first element: its element type (4) and its length (8). */
const ARRAY_HEADER_BYTES = 12;

/** An array of one element type, kept as the bytes that stand in the file. */
export class MetadataArray implements Iterable<MetadataValue> {
  readonly elementType: MetadataType;
  readonly length: number;
  /** Element type, length and elements, as in a file. */
  readonly encoded: Uint8Array;

  /** @param encoded bytes whose lengths were checked */
  constructor(encoded: Uint8Array) {
    const view = viewOf(encoded);
    this.elementType = METADATA_TYPES[view.getUint32(0, true)]!;
    this.length = Number(view.getBigUint64(4, true));
    this.encoded = encoded;
  }

  /**
   * An array of the given values.
   *
   * @throws {RangeError} when a value does not fit the type
   * @throws {TypeError} when a value is of another type
   */
  static of(elementType: MetadataType, values: readonly MetadataValue[]): MetadataArray {
    return new MetadataArray(encodeArray(elementType, values));
  }

  /** All elements, decoded anew on each call. */
  values(): MetadataValue[] {
    return [...this];
  }

  /**
   * All elements as numbers.
   *
   * @throws {TypeError} when the elements are of another type
   */
  numbers(): number[] {
    const size = METADATA_SIZES[this.elementType];
    if (size === undefined) throw new TypeError(`the elements are of type ${this.elementType}, numbers are wanted`);
    return this.values().map(Number);
  }

  /**
   * All elements as strings; what is not UTF-8 becomes U+FFFD.
   *
   * @throws {TypeError} when the elements are of another type
   */
  strings(): string[] {
    if (this.elementType !== "string") {
      throw new TypeError(`the elements are of type ${this.elementType}, strings are wanted`);
    }
    return this.values() as string[];
  }

  *[Symbol.iterator](): IterableIterator<MetadataValue> {
    const view = viewOf(this.encoded);
    let offset = ARRAY_HEADER_BYTES;
    for (let i = 0; i < this.length; i++) {
      const sizeBytes = encodedLength(this.elementType, view, offset);
      yield decodeValue(this.elementType, this.encoded.subarray(offset, offset + sizeBytes));
      offset += sizeBytes;
    }
  }

  /** The bytes of each string, for vocabularies whose pieces need not be UTF-8. */
  *stringBytes(): IterableIterator<Uint8Array> {
    const view = viewOf(this.encoded);
    let offset = ARRAY_HEADER_BYTES;
    for (let i = 0; i < this.length; i++) {
      const sizeBytes = encodedLength("string", view, offset);
      yield this.encoded.subarray(offset + 8, offset + sizeBytes);
      offset += sizeBytes;
    }
  }
}

/** The value that these bytes stand for. */
export function decodeValue(type: MetadataType, bytes: Uint8Array): MetadataValue {
  if (type === "string") return UTF8.decode(bytes.subarray(8));
  if (type === "array") return new MetadataArray(bytes);
  const view = viewOf(bytes);
  switch (type) {
    case "uint8":
      return view.getUint8(0);
    case "int8":
      return view.getInt8(0);
    case "uint16":
      return view.getUint16(0, true);
    case "int16":
      return view.getInt16(0, true);
    case "uint32":
      return view.getUint32(0, true);
    case "int32":
      return view.getInt32(0, true);
    case "float32":
      return view.getFloat32(0, true);
    case "bool":
      return view.getUint8(0) !== 0;
    case "uint64":
      return exact(view.getBigUint64(0, true));
    case "int64":
      return exact(view.getBigInt64(0, true));
    case "float64":
      return view.getFloat64(0, true);
  }
}

/** Bytes of the value that starts at `offset`. */
function encodedLength(type: MetadataType, view: DataView, offset: number): number {
  if (type === "string") return 8 + Number(view.getBigUint64(offset, true));
  if (type !== "array") return METADATA_SIZES[type]!;
  const elementType = METADATA_TYPES[view.getUint32(offset, true)]!;
  const length = Number(view.getBigUint64(offset + 4, true));
  const elementSizeBytes = METADATA_SIZES[elementType];
  if (elementSizeBytes !== undefined) return ARRAY_HEADER_BYTES + length * elementSizeBytes;
  let end = offset + ARRAY_HEADER_BYTES;
  for (let i = 0; i < length; i++) end += encodedLength(elementType, view, end);
  return end - offset;
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
