// Encoding of metadata values as they stand in a GGUF file, little-endian. The decoder's other half.
import { METADATA_SIZES, METADATA_TYPES, type MetadataType, type MetadataValue } from "./metadata-types.js";

const UTF8 = new TextEncoder();

// The integers each type holds.
const INTEGER_RANGES: Partial<Record<MetadataType, readonly [least: bigint, most: bigint]>> = {
  uint8: [0n, 0xffn],
  int8: [-0x80n, 0x7fn],
  uint16: [0n, 0xffffn],
  int16: [-0x8000n, 0x7fffn],
  uint32: [0n, 0xffff_ffffn],
  int32: [-0x8000_0000n, 0x7fff_ffffn],
  uint64: [0n, 2n ** 64n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
};

/**
 * The bytes of a value.
 *
 * @throws {RangeError} when the value does not fit the type
 * @throws {TypeError} when the value is of another type
 */
export function encodeValue(type: MetadataType, value: MetadataValue): Uint8Array {
  if (type === "string") return encodeString(expectType(value, "string", type));
  if (type === "array") {
    if (typeof value === "object") return value.encoded;
    throw mismatch(value, type);
  }
  const bytes = new Uint8Array(METADATA_SIZES[type]!);
  putScalar(new DataView(bytes.buffer), 0, type, value);
  return bytes;
}

/** The bytes of an array: element type, length, elements. */
export function encodeArray(elementType: MetadataType, values: readonly MetadataValue[]): Uint8Array {
  const elementSizeBytes = METADATA_SIZES[elementType];
  if (elementSizeBytes === undefined) return joinArray(elementType, values);
  const bytes = new Uint8Array(12 + values.length * elementSizeBytes);
  const view = new DataView(bytes.buffer);
  putArrayHeader(view, elementType, values.length);
  for (const [i, value] of values.entries()) putScalar(view, 12 + i * elementSizeBytes, elementType, value);
  return bytes;
}

/** A string with its length before it, as keys, names and values are written. */
export function encodeString(text: string): Uint8Array {
  const utf8 = UTF8.encode(text);
  const bytes = new Uint8Array(8 + utf8.byteLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(utf8.byteLength), true);
  bytes.set(utf8, 8);
  return bytes;
}

function joinArray(elementType: MetadataType, values: readonly MetadataValue[]): Uint8Array {
  const parts = values.map((value) => encodeValue(elementType, value));
  const bytes = new Uint8Array(12 + parts.reduce((total, part) => total + part.byteLength, 0));
  putArrayHeader(new DataView(bytes.buffer), elementType, values.length);
  let offset = 12;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}

function putArrayHeader(view: DataView, elementType: MetadataType, length: number): void {
  view.setUint32(0, METADATA_TYPES.indexOf(elementType), true);
  view.setBigUint64(4, BigInt(length), true);
}

function putScalar(view: DataView, offset: number, type: MetadataType, value: MetadataValue): void {
  if (type === "bool") return view.setUint8(offset, expectType(value, "boolean", type) ? 1 : 0);
  if (type === "float32") return view.setFloat32(offset, expectType(value, "number", type), true);
  if (type === "float64") return view.setFloat64(offset, expectType(value, "number", type), true);
  putInteger(view, offset, type, value);
}

function putInteger(view: DataView, offset: number, type: MetadataType, value: MetadataValue): void {
  if (typeof value !== "bigint" && !Number.isSafeInteger(expectType(value, "number", type))) {
    throw new RangeError(`${String(value)} is no exact integer, ${type} is wanted`);
  }
  const integer = BigInt(value as number | bigint);
  const [least, most] = INTEGER_RANGES[type]!;
  if (integer < least || integer > most) throw new RangeError(`${integer} is not within ${least}…${most} of ${type}`);
  const sizeBytes = METADATA_SIZES[type]!;
  if (sizeBytes === 8) view.setBigUint64(offset, BigInt.asUintN(64, integer), true);
  else if (sizeBytes === 4) view.setUint32(offset, Number(BigInt.asUintN(32, integer)), true);
  else if (sizeBytes === 2) view.setUint16(offset, Number(BigInt.asUintN(16, integer)), true);
  else view.setUint8(offset, Number(BigInt.asUintN(8, integer)));
}

function expectType(value: MetadataValue, wanted: "string", type: MetadataType): string;
function expectType(value: MetadataValue, wanted: "number", type: MetadataType): number;
function expectType(value: MetadataValue, wanted: "boolean", type: MetadataType): boolean;
function expectType(value: MetadataValue, wanted: string, type: MetadataType): MetadataValue {
  if (typeof value !== wanted) throw mismatch(value, type);
  return value;
}

function mismatch(value: MetadataValue, type: MetadataType): TypeError {
  return new TypeError(`A ${typeof value === "object" ? "array" : typeof value} can't be stored as ${type}`);
}
