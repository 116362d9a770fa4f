// Opens a model file. Only its header is read here.
import { FormatError, messageOf } from "../errors.js";
import { type GgufFile, type GgufTensor, readGguf } from "../formats/gguf/read.js";
import { type LazyTensor, type Model, rowCount } from "./model.js";
import { modelSpec } from "./spec.js";

/**
 * Opens a GGUF model by path or address; a split one by any of its parts.
 *
 * @throws {FormatError} when it is no sound model
 * @throws {PareError} when it can't be read
 * @example
 * await using model = await openModel("model.gguf");
 * console.log(model.spec.layers, model.tensors.get("token_embd.weight")?.type);
 */
export async function openModel(path: string, options: { signal?: AbortSignal } = {}): Promise<Model> {
  const gguf = await readGguf(path, options);
  try {
    return modelOf(gguf);
  } catch (error) {
    await gguf.close();
    throw error;
  }
}

function modelOf(gguf: GgufFile): Model {
  const tensors = new Map(gguf.tensors.map((tensor) => [tensor.name, lazyTensor(gguf, tensor)]));
  return {
    spec: specOf(gguf, tensors),
    metadata: gguf.metadata,
    tensors,
    path: gguf.path,
    parts: gguf.parts,
    fileSizeBytes: gguf.sizeBytes,
    close: () => gguf.close(),
    [Symbol.asyncDispose]: () => gguf.close(),
  };
}

function specOf(gguf: GgufFile, tensors: ReadonlyMap<string, LazyTensor>) {
  try {
    return modelSpec(gguf.metadata, tensors);
  } catch (cause) {
    throw new FormatError(gguf.path, `Cannot read GGUF "${gguf.path}": ${messageOf(cause)}`, { cause });
  }
}

function lazyTensor(gguf: GgufFile, tensor: GgufTensor): LazyTensor {
  const { name, shape, type, sizeBytes } = tensor;
  return {
    name,
    shape,
    type,
    sizeBytes,
    async readRows(start, count, into) {
      const rows = rowCount(shape);
      if (!(start >= 0 && count >= 0 && start + count <= rows)) {
        throw new RangeError(`Tensor "${name}" has ${rows} rows, not ${count} from ${start}`);
      }
      const rowBytes = sizeBytes / rows;
      return gguf.readTensor(tensor, start * rowBytes, count * rowBytes, into);
    },
  };
}
