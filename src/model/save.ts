// Writes a model as GGUF, tensor by tensor in bounded pieces.
import { writeGguf } from "../formats/gguf/write.js";
import type { RunOptions } from "../support/progress.js";
import { type LazyTensor, type Model, rowCount } from "./model.js";

/** Bytes held at a time: large enough for the disk, small beside any model. */
const PIECE_BYTES = 8 * 2 ** 20;

/**
 * Writes a model to a GGUF file, atomically. The model may be open from the file that is replaced.
 *
 * @returns the file's size and SHA-256
 * @throws {ResourceError} when the disk has no room for it
 */
export async function saveModel(
  model: Pick<Model, "metadata" | "tensors">,
  path: string,
  options: RunOptions = {},
): Promise<{ sizeBytes: number; sha256: string }> {
  const tensors = [...model.tensors.values()].map(({ name, shape, type }) => ({
    name,
    shape,
    type,
    chunks: () => pieces(model.tensors.get(name)!),
  }));
  return writeGguf(path, { metadata: model.metadata, tensors }, options);
}

async function* pieces(tensor: LazyTensor): AsyncIterable<Uint8Array> {
  const rows = rowCount(tensor.shape);
  const step = Math.max(1, Math.floor(PIECE_BYTES / (tensor.sizeBytes / rows)));
  for (let row = 0; row < rows; row += step) yield tensor.readRows(row, Math.min(step, rows - row));
}
