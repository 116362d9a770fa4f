// A tensor in a type of safetensors' own: matrices in the one that is asked for, vectors in single precision as GGUF has them.
import type { RestoredTensor } from "../../convert/restore-tensors.js";
import { PareError } from "../../errors.js";
import type { SafetensorsTensorSource } from "../../formats/safetensors/write.js";
import { loadGgml } from "../../native/engine.js";
import { dequantize, quantizeRows, validateRows } from "../../native/ggml.js";
import type { OrderedRows } from "./decoded-rows.js";

/** Types of matrices, and what safetensors calls them. */
export const PLAIN_TYPES = { f16: "F16", bf16: "BF16", f32: "F32" } as const;
export type PlainType = keyof typeof PLAIN_TYPES;

/** @throws {PareError} while it is read, when half precision does not hold a value */
export function plainTensor(
  { name, source, rule }: RestoredTensor,
  rows: OrderedRows,
  matrices: PlainType,
): SafetensorsTensorSource {
  const isVector = source.shape.length === 1;
  const type: PlainType = isVector ? "f32" : matrices;
  async function* chunks() {
    for await (const bytes of rows.slabs()) {
      if (source.type === type && !rule.plus) yield bytes;
      else yield encoded(name, valuesOf(source.type, bytes, rows, rule.plus ?? 0), type, rows.columns);
    }
  }
  return { name, dtype: PLAIN_TYPES[type], shape: isVector ? [rows.rows] : [rows.rows, rows.columns], chunks };
}

function valuesOf(type: string, bytes: Uint8Array, { rowBytes, columns }: OrderedRows, plus: number): Float32Array {
  const values = dequantize(loadGgml(), type, bytes, (bytes.byteLength / rowBytes) * columns);
  if (plus !== 0) for (let i = 0; i < values.length; i++) values[i]! -= plus;
  return values;
}

function encoded(name: string, values: Float32Array, type: PlainType, columns: number): Uint8Array {
  if (type === "f32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bytes = quantizeRows(loadGgml(), type, values, columns);
  if (validateRows(loadGgml(), type, bytes)) return bytes;
  throw new PareError(`Tensor "${name}" has values too large for ${type}`, { hint: "Export with --weights bf16" });
}
