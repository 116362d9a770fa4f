// A model's weights into a store, and out of it as a model again. Trained ones are f32 in the store; frozen ones keep the
// type they have in the file, quantized or not, and enter products through ggml's own.
import { rowSizeBytes, type GgmlType } from "../formats/gguf/ggml-types.js";
import { type LazyTensor, type Model, elementCount, rowCount, tensorSizeBytes } from "../model/model.js";
import type { GgmlLibrary } from "../native/engine.js";
import { dequantize, quantizeRows } from "../native/ggml.js";
import type { ParameterShape } from "./llama.js";
import type { TensorStore } from "./store.js";
import type { Tensor } from "./tensor.js";

/** Never trained: it is computed from the hyper-parameters. */
const CONSTANTS = new Set(["rope_freqs.weight"]);

/** The parameters of a graph. */
export interface ParameterPlan {
  /** With the type that a frozen one lies in. */
  readonly tensors: readonly (ParameterShape & { readonly type?: GgmlType | undefined })[];
  /** Says of a name whether it is trained. */
  readonly isTrained: (name: string) => boolean;
}

/**
 * Declares a model's tensors: f32 with a gradient where they are trained, else as they lie in the file.
 *
 * @param options.isTrained says of a name whether it is trained; by default all are
 */
export function declareParameters(
  store: TensorStore,
  tensors: ParameterPlan["tensors"],
  options: Partial<Pick<ParameterPlan, "isTrained">> = {},
): Map<string, Tensor> {
  const isTrained = options.isTrained ?? (() => true);
  return new Map(
    tensors.map(({ name, shape, type = "f32" }) => [
      name,
      isTrained(name) && !CONSTANTS.has(name)
        ? store.declareTrained(name, shape)
        : store.declare(name, CONSTANTS.has(name) ? "f32" : type, shape),
    ]),
  );
}

/** Fills declared parameters from a model, whatever types it has. */
export async function readParameters(
  store: TensorStore,
  parameters: ReadonlyMap<string, Tensor>,
  model: Pick<Model, "tensors">,
): Promise<void> {
  for (const [name, parameter] of parameters) {
    const source = model.tensors.get(name)!;
    const bytes = await source.readRows(0, rowCount(source.shape));
    if (parameter.type === source.type) store.write(parameter, bytes);
    else store.write(parameter, dequantize(store.backend.engine, source.type, bytes, elementCount(source.shape)));
  }
}

/**
 * The parameters as tensors of a model, read from the store when asked for.
 *
 * @param type of the matrices: f32, f16 or bf16; vectors stay f32, and what is frozen stays as it is
 */
export function writtenParameters(
  store: TensorStore,
  parameters: ReadonlyMap<string, Tensor>,
  type: "f32" | "f16" | "bf16",
): Map<string, LazyTensor> {
  return new Map(
    [...parameters].map(([name, tensor]) => {
      const shape = trimmed(tensor.shape);
      const written = tensor.gradient ? (shape.length > 1 ? type : "f32") : tensor.type;
      return [name, lazyTensor(store, tensor, shape, written)];
    }),
  );
}

function lazyTensor(store: TensorStore, tensor: Tensor, shape: readonly number[], type: GgmlType): LazyTensor {
  const { engine } = store.backend;
  return {
    name: tensor.name,
    shape,
    type,
    sizeBytes: tensorSizeBytes(type, shape),
    async readRows(start, count) {
      if (!(start >= 0 && count >= 0 && start + count <= rowCount(shape)))
        throw new RangeError(`Tensor "${tensor.name}" has ${rowCount(shape)} rows, not ${count} from ${start}`);
      const bytes = readBytes(engine, tensor, start, count);
      return tensor.type === type ? bytes : quantizeRows(engine, type, new Float32Array(bytes.buffer), shape[0]!);
    },
  };
}

function readBytes(engine: GgmlLibrary, tensor: Tensor, start: number, count: number): Uint8Array {
  const rowBytes = rowSizeBytes(tensor.type, tensor.shape[0]);
  const bytes = new Uint8Array(count * rowBytes);
  engine.ggml.ggml_backend_tensor_get(tensor.pointer, bytes, start * rowBytes, bytes.byteLength);
  return bytes;
}

function trimmed(shape: readonly number[]): number[] {
  return shape.slice(0, Math.max(1, shape.findLastIndex((length) => length !== 1) + 1));
}
