// An adapter merged into its model: each adapted matrix becomes W + (α / rank) B A, row by row as it is written.
import type { Metadata } from "../../formats/gguf/metadata.js";
import { GGML_TYPES } from "../../formats/gguf/ggml-types.js";
import { type LazyTensor, type Model, tensorSizeBytes } from "../../model/model.js";
import type { GgmlLibrary } from "../../native/engine.js";
import { dequantize, quantizeRows } from "../../native/ggml.js";
import { FILE_TYPES } from "../../train/file-types.js";
import type { LowRank } from "./adapter-file.js";

/**
 * The model with an adapter merged into it. Matrices are decoded, added to and written in one type; vectors stay as they are.
 *
 * @param adapter by the name of the matrix
 * @param type of all matrices
 */
export function mergeAdapter(
  engine: GgmlLibrary,
  model: Pick<Model, "metadata" | "tensors">,
  adapter: ReadonlyMap<string, LowRank>,
  type: keyof typeof FILE_TYPES,
): { metadata: Metadata; tensors: Map<string, LazyTensor> } {
  const metadata = model.metadata.clone().set("general.file_type", "uint32", FILE_TYPES[type]);
  const tensors = [...model.tensors.values()].map((tensor): [string, LazyTensor] => [
    tensor.name,
    tensor.shape.length > 1 ? mergedTensor(engine, tensor, adapter.get(tensor.name), type) : tensor,
  ]);
  return { metadata, tensors: new Map(tensors) };
}

function mergedTensor(
  engine: GgmlLibrary,
  tensor: LazyTensor,
  change: LowRank | undefined,
  type: keyof typeof FILE_TYPES,
): LazyTensor {
  const columns = tensor.shape[0]!;
  return {
    ...tensor,
    type,
    sizeBytes: tensorSizeBytes(type, tensor.shape),
    async readRows(start, count) {
      const bytes = await tensor.readRows(start, count);
      if (!change && (tensor.type === type || !GGML_TYPES[tensor.type])) return bytes;
      const rows = dequantize(engine, tensor.type, bytes, count * columns);
      if (change) addLowRank(rows, columns, start, change);
      return quantizeRows(engine, type, rows, columns);
    },
  };
}

/**
 * Adds scale · B A to some rows of a matrix, in place.
 *
 * @param rows [columns × count]
 * @param start number of the first
 */
export function addLowRank(rows: Float32Array, columns: number, start: number, { rank, a, b, scale }: LowRank): void {
  for (let at = 0, row = start; at < rows.length; at += columns, row++) {
    for (let r = 0; r < rank; r++) {
      const factor = scale * b[row * rank + r]!;
      for (let column = 0; column < columns; column++) rows[at + column]! += factor * a[r * columns + column]!;
    }
  }
}
