// A model that comes from memory instead of a file: llama.cpp takes the metadata of a GGUF file, the caller chooses each
// tensor's type and fills it, then and whenever it likes. So a weight can be exchanged without writing or loading anything.
// No repacking: the bytes in memory are those that were given.
import koffi from "koffi";

import { EngineError, FormatError } from "../errors.js";
import type { GgmlFunctions } from "./bindings.js";
import type { Engine } from "./engine.js";
import { requireType } from "./ggml.js";
import { LlamaModel, type ModelOptions, type ModelTotals } from "./llama-model.js";
import { TensorView } from "./observe.js";

/** A tensor as the model is to have it. */
export interface UserTensor {
  name: string;
  /** Elements per dimension in ggml order: the row's length first. */
  shape: readonly number[];
  /** ggml's spelling; need not be the type that the metadata's file has. */
  type: string;
}

export interface UserModelPlan {
  /** GGUF file that the metadata are read from; its tensor data are not touched. */
  metadataPath: string;
  /** All tensors, also those of other parts of a split file. */
  tensors: readonly UserTensor[];
  /** Called once per tensor of the model. One that is not filled holds whatever the memory held. */
  fill: (weight: ModelWeight) => void;
  gpuLayers?: ModelOptions["gpuLayers"];
}

/** A model and its weights, to be disposed of as the model. */
export interface UserModel {
  readonly model: LlamaModel;
  readonly weights: ReadonlyMap<string, ModelWeight>;
}

/**
 * Builds a model from metadata and tensors in memory. Call it in a child process: llama.cpp aborts on some metadata.
 *
 * @returns the model, which the caller disposes of; its weights are usable until then
 * @throws {RangeError} when a tensor's rows don't fit its type
 * @throws {FormatError} when the metadata can't be read
 * @throws {EngineError} when llama.cpp refuses them, or wants a tensor that is not given or of another size; whatever `fill` throws
 */
export function buildUserModel(engine: Engine, plan: UserModelPlan): UserModel {
  for (const tensor of plan.tensors) requireWholeBlocks(engine, tensor);
  const { model, pointers } = withMetadata(engine, plan, (metadata) => initialize(engine, plan, metadata));
  try {
    const given = new Map(plan.tensors.map((tensor) => [tensor.name, tensor]));
    const weights = new Map([...pointers].map(([name, at]) => [name, new ModelWeight(model, name, at)]));
    for (const weight of weights.values()) requireGiven(weight, given.get(weight.name), plan.metadataPath);
    for (const weight of weights.values()) plan.fill(weight);
    return { model, weights };
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

/** One weight of a loaded model, where it lies. Where an engine keeps several copies, as a GPU may of a tied embedding, all change. */
export class ModelWeight {
  readonly name: string;
  /** ggml's spelling. */
  readonly type: string;
  /** [ne0, ne1, ne2, ne3]. */
  readonly shape: readonly [number, number, number, number];
  readonly sizeBytes: number;
  readonly #model: LlamaModel;
  readonly #pointers: readonly bigint[];

  constructor(model: LlamaModel, name: string, pointers: readonly bigint[]) {
    const { type, shape } = new TensorView(model.engine, pointers[0]!);
    this.name = name;
    this.type = type;
    this.shape = shape;
    this.sizeBytes = model.engine.ggml.ggml_nbytes(pointers[0]!);
    this.#model = model;
    this.#pointers = pointers;
  }

  /**
   * Overwrites bytes of the weight.
   *
   * @throws {RangeError} when they don't fit
   * @throws {Error} after the model was disposed of
   */
  write(bytes: Uint8Array, offset = 0): void {
    this.#require(offset, bytes.byteLength);
    for (const pointer of this.#pointers) {
      this.#model.engine.ggml.ggml_backend_tensor_set(pointer, bytes, offset, bytes.byteLength);
    }
  }

  /** A copy of bytes of the weight. */
  read(offset = 0, length = this.sizeBytes - offset): Uint8Array {
    this.#require(offset, length);
    const bytes = new Uint8Array(length);
    this.#model.engine.ggml.ggml_backend_tensor_get(this.#pointers[0]!, bytes, offset, length);
    return bytes;
  }

  #require(offset: number, length: number): void {
    if (this.#model.isFreed) throw new Error(`Weight "${this.name}" was used after its model was freed`);
    if (offset >= 0 && length >= 0 && offset + length <= this.sizeBytes) return;
    throw new RangeError(`Weight "${this.name}" has ${this.sizeBytes} bytes, not ${length} from ${offset}`);
  }
}

/** llama.cpp's view of the model: the file's metadata, and tensors of the types asked for. */
function withMetadata<Result>(engine: Engine, plan: UserModelPlan, use: (metadata: bigint) => Result): Result {
  const { ggml } = engine;
  const metadata = ggml.gguf_init_from_file(plan.metadataPath, { no_alloc: true, ctx: null });
  if (metadata === null) throw new FormatError(plan.metadataPath, `Cannot read GGUF "${plan.metadataPath}"`);
  const context = ggml.ggml_init({
    mem_size: ggml.ggml_tensor_overhead() * (plan.tensors.length + 1),
    mem_buffer: null,
    no_alloc: true,
  });
  try {
    for (const tensor of plan.tensors)
      declareTensor(ggml, metadata, context, tensor, requireType(engine, tensor.type).id);
    return use(metadata);
  } finally {
    ggml.ggml_free(context);
    ggml.gguf_free(metadata);
  }
}

function declareTensor(
  ggml: GgmlFunctions,
  metadata: bigint,
  context: bigint | null,
  { name, shape }: UserTensor,
  type: number,
): void {
  if (ggml.gguf_find_tensor(metadata, name) < 0) {
    const [a, b, c, d] = [0, 1, 2, 3].map((i) => shape[i] ?? 1) as [number, number, number, number];
    const tensor = ggml.ggml_new_tensor_4d(context, type, a, b, c, d);
    ggml.ggml_set_name(tensor, name);
    ggml.gguf_add_tensor(metadata, tensor);
  } else {
    ggml.gguf_set_tensor_type(metadata, name, type);
  }
}

function initialize(
  engine: Engine,
  plan: UserModelPlan,
  metadata: bigint,
): { model: LlamaModel; pointers: ReadonlyMap<string, bigint[]> } {
  const pointers = new Map<string, bigint[]>();
  setDataType ??= koffi.proto("void SetTensorData(void *tensor, void *user_data)");
  const callback = koffi.register((tensor: bigint) => {
    const name = engine.ggml.ggml_get_name(tensor) ?? "";
    pointers.set(name, [...(pointers.get(name) ?? []), tensor]); // filled later: an exception must not cross the native frame
  }, koffi.pointer(setDataType));
  const options = {
    ...(plan.gpuLayers === undefined ? {} : { gpuLayers: plan.gpuLayers }),
    totals: totalsOf(engine, plan.tensors),
  };
  try {
    return { model: LlamaModel.fromUser(engine, plan.metadataPath, metadata, callback, options), pointers };
  } finally {
    koffi.unregister(callback);
  }
}

let setDataType: ReturnType<typeof koffi.proto> | undefined;

function totalsOf(engine: Engine, tensors: readonly UserTensor[]): ModelTotals {
  const totals = { sizeBytes: 0, parameters: 0 };
  for (const { shape, type } of tensors) {
    const { blockSize, typeSizeBytes } = requireType(engine, type);
    const count = shape.reduce((product, length) => product * length, 1);
    totals.parameters += count;
    totals.sizeBytes += (count / blockSize) * typeSizeBytes;
  }
  return totals;
}

/** ggml would abort. */
function requireWholeBlocks(engine: Engine, { name, shape, type }: UserTensor): void {
  const { blockSize } = requireType(engine, type);
  if (shape[0]! % blockSize === 0) return;
  throw new RangeError(
    `Tensor "${name}" can't be ${type}: its rows of ${shape[0]} weights are no multiple of ${blockSize}`,
  );
}

function requireGiven(weight: ModelWeight, given: UserTensor | undefined, path: string): void {
  if (given === undefined)
    throw new EngineError(`Cannot build "${path}" in memory: the engine wants tensor "${weight.name}" too`);
  const wanted = [0, 1, 2, 3].map((i) => given.shape[i] ?? 1);
  if (weight.type === given.type && wanted.every((length, i) => length === weight.shape[i])) return;
  throw new EngineError(
    `Cannot build "${path}" in memory: the engine wants tensor "${weight.name}" as ${weight.shape.join(" × ")} of ${weight.type}, not ${wanted.join(" × ")} of ${given.type}`,
  );
}
