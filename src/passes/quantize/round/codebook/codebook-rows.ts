// Rows of the codebook types taken apart into numbers and put together again, exactly. What the numbers should be is
// decided elsewhere.
import { rowSizeBytes } from "../../../../formats/gguf/ggml-types.js";
import { fromFloat16, toFloat16 } from "../../../../support/float16.js";
import { BLOCK_WEIGHTS, type BitFields, type CodebookFormat, SIGN_WEIGHTS } from "./codebook-format.js";

/** Rows taken apart; each array runs through the rows one after the other. */
export interface CodebookRows {
  /** Index of a codeword, one for 8 or 4 weights. */
  codes: Uint16Array;
  /** One byte for eight weights; bit i set: weight i is negative. */
  signs: Uint8Array;
  /** 0 to 15, one for 16 or 32 weights. */
  scales: Uint8Array;
  /** One for 256 weights, that float16 can represent. */
  superScales: Float32Array;
}

/**
 * Rows of zeros.
 *
 * @throws {RangeError} when a row is not a whole number of blocks
 */
export function emptyCodebookRows(format: CodebookFormat, rows: number, columns: number): CodebookRows {
  rowSizeBytes(format.type, columns);
  const weights = rows * columns;
  return {
    codes: new Uint16Array(weights / format.codeLength),
    signs: new Uint8Array(weights / SIGN_WEIGHTS),
    scales: new Uint8Array(weights / format.groupWeights),
    superScales: new Float32Array(weights / BLOCK_WEIGHTS),
  };
}

/**
 * Takes ggml's bytes apart.
 *
 * @throws {RangeError} when they are not `rows` rows, or a row is not a whole number of blocks
 */
export function unpackCodebookRows(
  format: CodebookFormat,
  bytes: Uint8Array,
  rows: number,
  columns: number,
): CodebookRows {
  const state = emptyCodebookRows(format, rows, columns);
  const sizeBytes = rows * rowSizeBytes(format.type, columns);
  if (bytes.byteLength !== sizeBytes) {
    throw new RangeError(
      `Cannot take ${rows} rows of ${format.type} apart: ${bytes.byteLength} bytes, not ${sizeBytes}`,
    );
  }
  for (let block = 0; block < state.superScales.length; block++) {
    const at = block * format.blockBytes;
    state.superScales[block] = fromFloat16(bytes[at]! | (bytes[at + 1]! << 8));
    eachField(format.codes, format.codesHigh, BLOCK_WEIGHTS / format.codeLength, block, (item, low, high, shift) => {
      state.codes[item] = readBits(bytes, at, low, format.codes.width);
      if (format.codesHigh) state.codes[item]! |= readBits(bytes, at, high, format.codesHigh.width) << shift;
    });
    eachField(format.signs, undefined, BLOCK_WEIGHTS / SIGN_WEIGHTS, block, (item, bit) => {
      const stored = readBits(bytes, at, bit, format.signs.width);
      state.signs[item] = format.isSignCountEven ? evenSigns(stored) : stored;
    });
    eachField(format.scales, undefined, BLOCK_WEIGHTS / format.groupWeights, block, (item, bit) => {
      state.scales[item] = readBits(bytes, at, bit, format.scales.width);
    });
  }
  return state;
}

/** Puts rows together as ggml stores them. */
export function packCodebookRows(format: CodebookFormat, state: CodebookRows): Uint8Array {
  const bytes = new Uint8Array(state.superScales.length * format.blockBytes);
  for (let block = 0; block < state.superScales.length; block++) {
    const at = block * format.blockBytes;
    const superScale = toFloat16(state.superScales[block]!);
    bytes[at] = superScale & 255;
    bytes[at + 1] = superScale >>> 8;
    eachField(format.codes, format.codesHigh, BLOCK_WEIGHTS / format.codeLength, block, (item, low, high, shift) => {
      writeBits(bytes, at, low, format.codes.width, state.codes[item]!);
      if (format.codesHigh) writeBits(bytes, at, high, format.codesHigh.width, state.codes[item]! >>> shift);
    });
    eachField(format.signs, undefined, BLOCK_WEIGHTS / SIGN_WEIGHTS, block, (item, bit) => {
      writeBits(bytes, at, bit, format.signs.width, state.signs[item]!);
    });
    eachField(format.scales, undefined, BLOCK_WEIGHTS / format.groupWeights, block, (item, bit) => {
      writeBits(bytes, at, bit, format.scales.width, state.scales[item]!);
    });
  }
  return bytes;
}

/** One row of several, as views: what is written to it is written to all. */
export function rowOf(format: CodebookFormat, state: CodebookRows, row: number, columns: number): CodebookRows {
  const part = <Numbers extends Uint8Array | Uint16Array | Float32Array>(values: Numbers, weightsEach: number) =>
    values.subarray((row * columns) / weightsEach, ((row + 1) * columns) / weightsEach) as Numbers;
  return {
    codes: part(state.codes, format.codeLength),
    signs: part(state.signs, SIGN_WEIGHTS),
    scales: part(state.scales, format.groupWeights),
    superScales: part(state.superScales, BLOCK_WEIGHTS),
  };
}

/** Seven signs and the eighth that makes the number of minus signs even. */
export function evenSigns(signs: number): number {
  const low = signs & 127;
  return low | (isOdd(low) ? 128 : 0);
}

/** True when an odd number of a byte's bits is set. */
export function isOdd(byte: number): boolean {
  let folded = byte ^ (byte >>> 4);
  folded ^= folded >>> 2;
  return ((folded ^ (folded >>> 1)) & 1) === 1;
}

/** Calls back with each item's index in the whole state and its fields' bits in the block. */
function eachField(
  fields: BitFields,
  high: BitFields | undefined,
  count: number,
  block: number,
  visit: (item: number, bit: number, highBit: number, highShift: number) => void,
): void {
  for (let k = 0; k < count; k++) {
    visit(block * count + k, bitOf(fields, k), high ? bitOf(high, k) : 0, fields.width);
  }
}

function bitOf({ start, stride, perChunk, chunkStride }: BitFields, index: number): number {
  if (perChunk === undefined) return start + index * stride;
  return start + Math.floor(index / perChunk) * chunkStride! + (index % perChunk) * stride;
}

/** At most nine bits, so that they lie in two bytes. */
function readBits(bytes: Uint8Array, at: number, bit: number, width: number): number {
  const byte = at + (bit >>> 3);
  const pair = bytes[byte]! | ((bytes[byte + 1] ?? 0) << 8);
  return (pair >>> (bit & 7)) & ((1 << width) - 1);
}

/** Sets bits that are zero before. */
function writeBits(bytes: Uint8Array, at: number, bit: number, width: number, value: number): void {
  const byte = at + (bit >>> 3);
  const pair = (value & ((1 << width) - 1)) << (bit & 7);
  bytes[byte]! |= pair & 255;
  if (pair > 255) bytes[byte + 1]! |= pair >>> 8;
}
