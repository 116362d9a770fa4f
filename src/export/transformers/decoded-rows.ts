// The rows of a GGUF tensor as a checkpoint has them: without what the converter added, and in the order that transformers
// rotates, (i, i + half) within each head, where llama.cpp has pairs side by side.
import type { RestoredTensor } from "../../convert/restore-tensors.js";
import { FormatError } from "../../errors.js";
import { Config } from "../../formats/huggingface/config.js";
import { rowCount } from "../../model/model.js";

/** A tensor's bytes in GGUF's type, its rows in the checkpoint's order. */
export interface OrderedRows {
  /** Rows of the checkpoint's tensor. */
  readonly rows: number;
  /** Elements of a row. */
  readonly columns: number;
  /** Bytes of a row. */
  readonly rowBytes: number;
  /** Slabs of whole rows from first to last. */
  slabs(): AsyncIterable<Uint8Array>;
}

/** Held at a time, whole heads at least. */
const SLAB_BYTES = 8 * 2 ** 20;

/** @param config the checkpoint's, which says how many heads there are */
export function orderedRows(tensor: RestoredTensor, config: Record<string, unknown>, path: string): OrderedRows {
  const { source, rule, expert = 0 } = tensor;
  const isVector = source.shape.length === 1;
  // A vector is one row of the file, of which each element may have a place of its own.
  const columns = isVector ? 1 : source.shape[0]!;
  const rows = isVector ? source.shape[0]! : source.shape[1]!;
  const rowBytes = source.sizeBytes / (isVector ? rows : rowCount(source.shape));
  const headRows = rule.heads ? rows / rule.heads(new Config(path, config)) : 1;
  if (headRows !== 1 && (headRows % 2 !== 0 || !Number.isInteger(headRows))) {
    throw new FormatError(
      path,
      `Cannot export "${path}": the ${rows} rows of "${source.name}" are no heads of even length`,
    );
  }
  async function* slabs() {
    const step = isVector ? rows : headRows * Math.max(1, Math.floor(SLAB_BYTES / (rowBytes * headRows)));
    for (let row = 0; row < rows; row += step) {
      const count = Math.min(step, rows - row);
      const bytes = isVector ? await source.readRows(0, 1) : await source.readRows(expert * rows + row, count);
      yield headRows === 1 ? bytes : halvesApart(bytes, rowBytes, headRows);
    }
  }
  return { rows, columns, rowBytes, slabs };
}

/** Within each head: rows 0, 2, 4, … and behind them 1, 3, 5, … */
function halvesApart(bytes: Uint8Array, rowBytes: number, headRows: number): Uint8Array {
  const out = new Uint8Array(bytes.byteLength);
  for (let row = 0; row * rowBytes < bytes.byteLength; row++) {
    const inHead = row % headRows;
    const from = row - inHead + (inHead < headRows / 2 ? 2 * inHead : 2 * (inHead - headRows / 2) + 1);
    out.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), row * rowBytes);
  }
  return out;
}
