// How long one multiplication of a weight with a token's vector takes per byte of the weight: the kernel that ggml has for the
// type on this processor, its rearranged form where llama.cpp would rearrange. Nothing of a model is needed, so the speed of a
// file can be predicted before it is written.
import koffi from "koffi";

import { EngineError } from "../errors.js";
import { STRUCTS, ggml_backend_dev_type } from "./abi.gen.js";
import type { Engine } from "./engine.js";
import { quantizeRows, requireType } from "./ggml.js";
import { CpuBackend } from "./matmul.js";
import type { ThreadPool } from "./thread-pool.js";

export interface ProductQuestion {
  /** ggml's spelling, such as `q4_K`. */
  type: string;
  /** Weights in a row, a multiple of the type's block. */
  rowLength: number;
  threads: number;
  threadPool?: ThreadPool | undefined;
  /** Bytes of all weights together, which decides the cache that they are read from. */
  weightsBytes: number;
  /** Let llama.cpp's rearranged kernels in. */
  repack: boolean;
  /** Runs the work and says how many seconds it took. */
  clock: (work: () => void) => number;
}

/** Of one weight: large against what starting a product costs. */
const WEIGHT_BYTES = 1e6;
const ROUNDS = 12;
const BUFFER_OFFSET = STRUCTS.ggml_tensor.fields.find(([name]) => name === "buffer")![2];

/**
 * Seconds per byte of weight, the least of some rounds.
 *
 * @throws {EngineError} when ggml has no memory for it or can't multiply the type
 */
export function productSecondsPerByte(engine: Engine, question: ProductQuestion): number {
  const { ggml } = engine;
  const { type, rowLength, threads, threadPool } = question;
  const info = requireType(engine, type);
  const rowBytes = (rowLength / info.blockSize) * info.typeSizeBytes;
  const rows = Math.max(32, Math.round(WEIGHT_BYTES / rowBytes / 32) * 32);
  const count = Math.max(1, Math.round(question.weightsBytes / (rows * rowBytes)));
  using backend = CpuBackend.create(engine, threads, threadPool);
  using scratch = new Scratch();
  const weights = scratch.context(engine, count);
  const others = scratch.context(engine, 2 * count + 1);
  const input = ggml.ggml_new_tensor_2d(others, 0, rowLength, 1); // [rowLength, 1]
  const graph = ggml.ggml_new_graph(others);
  const tensors = Array.from({ length: count }, () => ggml.ggml_new_tensor_2d(weights, info.id, rowLength, rows)!);
  const products = tensors.map((weight) => ggml.ggml_mul_mat(others, weight, input)!); // [rows, 1]
  const bufferType = question.repack ? rearranging(engine, tensors[0]!, products[0]!) : null;
  scratch.own(
    engine,
    bufferType === null
      ? ggml.ggml_backend_alloc_ctx_tensors(weights, backend.pointer)
      : ggml.ggml_backend_alloc_ctx_tensors_from_buft(weights, bufferType),
  );
  for (const product of products) ggml.ggml_build_forward_expand(graph, product);
  scratch.own(engine, ggml.ggml_backend_alloc_ctx_tensors(others, backend.pointer));
  const bytes = randomRows(engine, type, rowLength, rows);
  for (const weight of tensors) ggml.ggml_backend_tensor_set(weight, bytes, 0, bytes.byteLength);
  const vector = Float32Array.from({ length: rowLength }, (_, i) => Math.sin(i));
  ggml.ggml_backend_tensor_set(input, vector, 0, vector.byteLength);
  const compute = (): void => {
    const status = ggml.ggml_backend_graph_compute(backend.pointer, graph);
    if (status !== 0) throw new EngineError(`Cannot multiply ${type}: ${ggml.ggml_status_to_string(status)}`);
  };
  compute();
  const seconds = Array.from({ length: ROUNDS }, () => question.clock(compute));
  return Math.min(...seconds) / (count * rows * rowBytes);
}

/** True where llama.cpp would keep weights of this type in a rearranged copy on this processor. */
export function isRearranged(engine: Engine, type: string): boolean {
  const { ggml } = engine;
  const info = requireType(engine, type);
  using scratch = new Scratch();
  const context = scratch.context(engine, 3);
  const weight = ggml.ggml_new_tensor_2d(context, info.id, 256, 64)!;
  const input = ggml.ggml_new_tensor_2d(context, 0, 256, 1);
  return rearranging(engine, weight, ggml.ggml_mul_mat(context, weight, input)!) !== null;
}

/** Memory of one question, freed in reverse order. */
class Scratch implements Disposable {
  readonly #release: (() => void)[] = [];

  context(engine: Engine, tensors: number): bigint {
    const { ggml } = engine;
    const size = ggml.ggml_tensor_overhead() * (tensors + 2) + ggml.ggml_graph_overhead();
    const context = ggml.ggml_init({ mem_size: size, mem_buffer: null, no_alloc: true });
    if (context === null) throw new EngineError("Cannot make a ggml context");
    this.#release.push(() => ggml.ggml_free(context));
    return context;
  }

  own({ ggml }: Engine, buffer: bigint | null): void {
    if (buffer === null) throw new EngineError("Cannot allocate the weights of a speed test");
    this.#release.push(() => ggml.ggml_backend_buffer_free(buffer));
  }

  [Symbol.dispose](): void {
    for (const release of this.#release.reverse()) release();
  }
}

let bufferTypesOf: ReturnType<typeof koffi.proto> | undefined;

/** The buffer type in which llama.cpp would put such a weight, or null for the plain one: it asks the device in the same way. */
function rearranging({ ggml }: Engine, weight: bigint, product: bigint): bigint | null {
  const device = ggml.ggml_backend_dev_by_type(ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU);
  const registry = ggml.ggml_backend_dev_backend_reg(device);
  const getter = ggml.ggml_backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts");
  if (getter === null) return null;
  bufferTypesOf ??= koffi.proto("void *GgmlExtraBufferTypes(void *device)");
  const list = koffi.call(getter, bufferTypesOf, device) as bigint | null;
  if (list === null) return null;
  for (let index = 0; ; index++) {
    const bufferType = koffi.decode(list, index * 8, "void *") as bigint | null;
    if (bufferType === null) return null;
    const buffer = ggml.ggml_backend_buft_alloc_buffer(bufferType, 0);
    koffi.encode(weight, BUFFER_OFFSET, "void *", buffer);
    const isSupported = ggml.ggml_backend_dev_supports_op(device, product);
    koffi.encode(weight, BUFFER_OFFSET, "void *", null);
    ggml.ggml_backend_buffer_free(buffer);
    if (isSupported) return bufferType;
  }
}

/** Some rows of one kind of noise, repeated: what a kernel takes does not depend on the numbers. */
function randomRows(engine: Engine, type: string, rowLength: number, rows: number): Uint8Array {
  const few = Math.min(rows, 16);
  const values = Float32Array.from({ length: few * rowLength }, (_, i) => Math.sin(i * i));
  const importance = new Float32Array(rowLength).fill(1);
  const encoded =
    type === "f32" ? new Uint8Array(values.buffer) : quantizeRows(engine, type, values, rowLength, importance);
  const bytes = new Uint8Array((encoded.byteLength / few) * rows);
  for (let at = 0; at < bytes.byteLength; at += encoded.byteLength) {
    bytes.set(encoded.subarray(0, Math.min(encoded.byteLength, bytes.byteLength - at)), at);
  }
  return bytes;
}
