// Puts weights into a model in memory, in the type that the model holds them in.
import type { GgmlLibrary } from "../../native/engine.js";
import { dequantize, requireType } from "../../native/ggml.js";
import type { ModelWeight } from "../../native/user-model.js";
import { PIECE_WEIGHTS, type SourceWeights } from "./source-weights.js";

/** The largest magnitude that rounds to a finite half-precision number. */
export const FLOAT16_MAX = 65_519;

const halves = new Uint16Array(new ArrayBuffer(PIECE_WEIGHTS * 2));

/** Elements of a weight. */
export function weightCount({ shape }: Pick<ModelWeight, "shape">): number {
  return shape[0] * shape[1] * shape[2] * shape[3];
}

/**
 * Writes floats to a weight that is held as f32, f16 or bf16.
 *
 * @param start index of the first element
 * @throws {RangeError} when they don't fit in number, or one is no number or beyond the type; nothing is written then
 */
export function writeValues(ggml: GgmlLibrary, weight: ModelWeight, values: Float32Array, start = 0): void {
  requireRange(weight, values);
  if (weight.type === "f32") {
    weight.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), start * 4);
    return;
  }
  const { ggml_fp32_to_fp16_row, ggml_fp32_to_bf16_row } = ggml.ggml;
  const encode = { f16: ggml_fp32_to_fp16_row, bf16: ggml_fp32_to_bf16_row }[weight.type];
  if (!encode) throw new RangeError(`Cannot write floats to "${weight.name}": it is held as ${weight.type}`);
  for (let at = 0; at < values.length; at += PIECE_WEIGHTS) {
    const count = Math.min(PIECE_WEIGHTS, values.length - at);
    encode(values.subarray(at, at + count), halves, count);
    weight.write(new Uint8Array(halves.buffer, 0, count * 2), (start + at) * 2);
  }
}

/**
 * Writes what the source has: its bytes where the weight is held in the source's type, else its values.
 *
 * @throws {PareError} at a NaN or an infinity; the message names the tensor
 */
export function writeOriginal(ggml: GgmlLibrary, source: SourceWeights, weight: ModelWeight): void {
  const { name } = weight;
  if (source.tensor(name).type !== weight.type) {
    for (const { start, values } of source.values(ggml, name)) writeValues(ggml, weight, values, start);
    return;
  }
  let offset = 0;
  for (const { bytes } of source.pieces(name)) {
    source.requireNumbers(ggml, name, bytes);
    weight.write(bytes, offset);
    offset += bytes.byteLength;
  }
}

/**
 * Decodes a whole tensor's bytes of any type and writes the values.
 *
 * @throws {RangeError} when the bytes are more or fewer than the weight takes in that type
 */
export function writeDecoded(ggml: GgmlLibrary, weight: ModelWeight, type: string, bytes: Uint8Array): void {
  const { blockSize, typeSizeBytes } = requireType(ggml, type);
  const total = weightCount(weight);
  const wanted = (total / blockSize) * typeSizeBytes;
  if (bytes.byteLength !== wanted)
    throw new RangeError(`Weight "${weight.name}" takes ${wanted} bytes as ${type}, not ${bytes.byteLength}`);
  const values = new Float32Array(Math.min(PIECE_WEIGHTS, total));
  for (let start = 0; start < total; start += PIECE_WEIGHTS) {
    const count = Math.min(PIECE_WEIGHTS, total - start);
    const piece = bytes.subarray((start / blockSize) * typeSizeBytes, ((start + count) / blockSize) * typeSizeBytes);
    writeValues(ggml, weight, dequantize(ggml, type, piece, count, values.subarray(0, count)), start);
  }
}

function requireRange(weight: ModelWeight, values: Float32Array): void {
  const largest = weight.type === "f16" ? FLOAT16_MAX : Number.MAX_VALUE;
  for (let i = 0; i < values.length; i++) {
    if (Math.abs(values[i]!) <= largest) continue;
    throw new RangeError(`Cannot write ${values[i]} to "${weight.name}": it is held as ${weight.type}`);
  }
}
