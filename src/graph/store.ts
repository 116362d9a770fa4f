// Tensors that stay from step to step: parameters with their gradients, inputs, optimizer states. They are declared first
// and allocated once, in one buffer.
import { EngineError, ResourceError } from "../errors.js";
import { GGML_TYPES, type GgmlType } from "../formats/gguf/ggml-types.js";
import { elementCount, tensorSizeBytes } from "../model/model.js";
import { tensorShape } from "../native/ggml.js";
import { NativeHandle } from "../native/handle.js";
import type { CpuBackend } from "../native/matmul.js";
import { formatBytes } from "../support/units.js";
import type { Tensor } from "./tensor.js";

/** Headers are small and their memory is touched only as far as it is used. */
const TENSORS_MAX = 16_384;

export class TensorStore extends NativeHandle {
  readonly backend: CpuBackend;
  readonly tensors = new Map<string, Tensor>();
  #buffer: bigint | null = null;
  #sizeBytes = 0;

  private constructor(backend: CpuBackend, context: bigint) {
    super(context, (pointer) => {
      if (this.#buffer !== null) backend.engine.ggml.ggml_backend_buffer_free(this.#buffer);
      backend.engine.ggml.ggml_free(pointer);
    });
    this.backend = backend;
  }

  static create(backend: CpuBackend): TensorStore {
    const { ggml } = backend.engine;
    const context = ggml.ggml_init({
      mem_size: ggml.ggml_tensor_overhead() * TENSORS_MAX,
      mem_buffer: null,
      no_alloc: true,
    });
    if (context === null) throw new EngineError("Cannot make a ggml context");
    return new TensorStore(backend, context);
  }

  /** Bytes of what was declared so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Announces a tensor. Its memory is there after `allocate()`.
   *
   * @param options.gradient where its gradients are added up; with it, the tensor is trained
   * @throws {RangeError} when the name is taken or the rows are not whole blocks of the type
   */
  declare(name: string, type: GgmlType, shape: readonly number[], options: { gradient?: Tensor } = {}): Tensor {
    if (this.tensors.has(name)) throw new RangeError(`There are two tensors of the name "${name}"`);
    const { id, blockSize } = GGML_TYPES[type];
    if (shape[0]! % blockSize !== 0)
      throw new RangeError(`Tensor "${name}" has rows of ${shape[0]}, ${type} comes in blocks of ${blockSize}`);
    const lengths = BigInt64Array.from(shape, BigInt);
    const pointer = this.backend.engine.ggml.ggml_new_tensor(this.pointer, id, shape.length, lengths)!;
    const needsGradient = options.gradient !== undefined;
    const tensor: Tensor = { pointer, name, type, shape: tensorShape(pointer), needsGradient, ...options };
    this.tensors.set(name, tensor);
    this.#sizeBytes += tensorSizeBytes(type, shape);
    return tensor;
  }

  /** A trained f32 tensor and, beside it, its gradient. */
  declareTrained(name: string, shape: readonly number[]): Tensor {
    return this.declare(name, "f32", shape, { gradient: this.declare(`${name}.gradient`, "f32", shape) });
  }

  /**
   * Reserves addresses for everything that was declared. Where the system gives memory when it is touched, none is taken
   * yet.
   *
   * @throws {ResourceError} when there is not so much memory
   */
  reserve(): this {
    const { ggml } = this.backend.engine;
    this.#buffer ??= ggml.ggml_backend_alloc_ctx_tensors(this.pointer, this.backend.pointer);
    if (this.#buffer === null)
      throw new ResourceError(`Cannot allocate ${formatBytes(this.#sizeBytes)} for parameters and their states`);
    return this;
  }

  /** Takes the memory for everything that was declared, zeroed. @throws {ResourceError} when there is not so much */
  allocate(): this {
    this.reserve();
    this.backend.engine.ggml.ggml_backend_buffer_clear(this.#buffer, 0);
    return this;
  }

  /** @throws {RangeError} when the data is not as long as the tensor */
  write(tensor: Tensor, data: Float32Array | Int32Array | Uint8Array): void {
    requireLength(tensor, data.byteLength);
    this.backend.engine.ggml.ggml_backend_tensor_set(tensor.pointer, data, 0, data.byteLength);
  }

  /** All elements of an f32 tensor, copied out. */
  read(tensor: Tensor, into: Float32Array = new Float32Array(elementCount(tensor.shape))): Float32Array {
    requireLength(tensor, into.byteLength);
    this.backend.engine.ggml.ggml_backend_tensor_get(tensor.pointer, into, 0, into.byteLength);
    return into;
  }

  zero(tensor: Tensor): void {
    this.backend.engine.ggml.ggml_backend_tensor_memset(
      tensor.pointer,
      0,
      0,
      tensorSizeBytes(tensor.type, tensor.shape),
    );
  }
}

function requireLength(tensor: Tensor, byteLength: number): void {
  const wanted = tensorSizeBytes(tensor.type, tensor.shape);
  if (byteLength !== wanted) throw new RangeError(`Tensor "${tensor.name}" has ${wanted} bytes, not ${byteLength}`);
}
