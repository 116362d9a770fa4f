// The quantize pass itself: a model whose tensors are quantized when someone reads them, by ggml's own encoders, which
// are what `llama_model_quantize` calls. Rows are independent of each other, so any slabs give the same bytes.
import { meanSquares } from "../../calibrate/importance.js";
import { PareError } from "../../errors.js";
import { GGML_TYPES, type GgmlType, rowSizeBytes } from "../../formats/gguf/ggml-types.js";
import { type LazyTensor, type Model, tensorSizeBytes } from "../../model/model.js";
import { callAsync } from "../../native/bindings.js";
import type { GgmlLibrary } from "../../native/engine.js";
import { dequantizeAsync, quantizeRowsAsync } from "../../native/ggml.js";
import type { PassContext } from "../pass.js";
import { type QuantizationPlan, importanceOf } from "./plan.js";

/** A model with its tensors in the types of a plan, which was made with the same importance data. */
export function quantizeModel(
  model: Model,
  { assignments, metadata }: QuantizationPlan,
  context: Pick<PassContext, "engine" | "importance">,
): Model {
  const buffers = { floats: new Buffers(), bytes: new Buffers() };
  const tensors = [...assignments].map(([name, { type }]): [string, LazyTensor] => {
    const source = model.tensors.get(name)!;
    const entry = type === source.type ? undefined : importanceOf(source, context.importance?.data);
    return [name, convertedTensor(source, type, entry && meanSquares(entry), context.engine, buffers)];
  });
  return { ...model, metadata, tensors: new Map(tensors), [Symbol.asyncDispose]: () => model.close() };
}

/**
 * A tensor in another type, or the same one with its values checked.
 *
 * @param importance [columns × matrices] mean squares, one matrix after the other
 */
function convertedTensor(
  source: LazyTensor,
  type: GgmlType,
  importance: Float32Array | undefined,
  engine: GgmlLibrary,
  buffers: { floats: Buffers; bytes: Buffers },
): LazyTensor {
  const { name, shape } = source;
  const columns = shape[0]!;
  const rowsPerMatrix = shape[1] ?? 1;
  return {
    name,
    shape,
    type,
    sizeBytes: tensorSizeBytes(type, shape),
    async readRows(start, count) {
      if (type === source.type) {
        const bytes = await source.readRows(start, count);
        await requireFinite(engine, source, source.type, bytes);
        return bytes;
      }
      const buffer = buffers.bytes.take(count * rowSizeBytes(source.type, columns));
      const floats = buffers.floats.take(count * columns * Float32Array.BYTES_PER_ELEMENT);
      try {
        const bytes = await source.readRows(start, count, new Uint8Array(buffer));
        await requireFinite(engine, source, source.type, bytes);
        const rows = await toFloats(engine, source.type, bytes, new Float32Array(floats, 0, count * columns));
        const result = new Uint8Array(count * rowSizeBytes(type, columns));
        for (const { matrix, first, last } of matrixRuns(start, count, rowsPerMatrix)) {
          await quantizeRowsAsync(
            engine,
            type,
            rows.subarray(first * columns, last * columns),
            columns,
            importance?.subarray(matrix * columns, (matrix + 1) * columns),
            result.subarray(first * rowSizeBytes(type, columns), last * rowSizeBytes(type, columns)),
          );
        }
        await requireFinite(engine, source, type, result);
        return result;
      } finally {
        buffers.bytes.giveBack(buffer);
        buffers.floats.giveBack(floats);
      }
    },
  };
}

/** Consecutive rows that belong to one matrix of a stack; `first` and `last` count from the slab's start. */
function* matrixRuns(start: number, count: number, rowsPerMatrix: number) {
  for (let first = 0; first < count;) {
    const matrix = Math.floor((start + first) / rowsPerMatrix);
    const last = Math.min(count, (matrix + 1) * rowsPerMatrix - start);
    yield { matrix, first, last };
    first = last;
  }
}

async function toFloats(
  engine: GgmlLibrary,
  type: GgmlType,
  bytes: Uint8Array,
  out: Float32Array,
): Promise<Float32Array> {
  if (type === "f32") return new Float32Array(bytes.buffer, bytes.byteOffset, out.length);
  return dequantizeAsync(engine, type, bytes, out.length, out);
}

/** Refuses NaN and infinity, in weights and in the scales that came out: one of them spoils a whole answer. */
async function requireFinite(engine: GgmlLibrary, { name, type: from }: LazyTensor, type: GgmlType, bytes: Uint8Array) {
  const { id } = GGML_TYPES[type];
  if (await callAsync(engine.ggml.ggml_validate_row_data, id, bytes, bytes.byteLength)) return;
  if (type === from) {
    throw new PareError(`Tensor "${name}" holds a value that is not a number or is infinite`, {
      hint: "The model is damaged; copy or download it again",
    });
  }
  throw new PareError(`Tensor "${name}" has values too large for ${type}`, {
    hint: `Give it a wider type: --tensor-type '${name}=bf16'`,
  });
}

/** Memory that is used again: fresh memory is filled with zeros first. */
class Buffers {
  readonly #free: ArrayBuffer[] = [];

  take(sizeBytes: number): ArrayBuffer {
    const index = this.#free.findIndex((buffer) => buffer.byteLength >= sizeBytes);
    const [buffer = new ArrayBuffer(sizeBytes)] = index < 0 ? [] : this.#free.splice(index, 1);
    return buffer;
  }

  giveBack(buffer: ArrayBuffer): void {
    if (this.#free.length >= BUFFERS_KEPT) this.#free.shift();
    this.#free.push(buffer);
  }
}

const BUFFERS_KEPT = 16; // as many as slabs under way on a machine with many cores
