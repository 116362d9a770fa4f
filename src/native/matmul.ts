// One matrix product through ggml's CPU backend: for calibration's Hessians and wherever a JavaScript loop would take minutes.
import { EngineError } from "../errors.js";
import { ggml_backend_dev_type } from "./abi.gen.js";
import type { Engine } from "./engine.js";
import { viewBytes } from "./engine.js";
import { NativeHandle } from "./handle.js";
import type { ThreadPool } from "./thread-pool.js";
import koffi from "koffi";

/** ggml's CPU backend with its threads. */
export class CpuBackend extends NativeHandle {
  readonly engine: Engine;

  private constructor(engine: Engine, pointer: bigint) {
    super(pointer, (p) => engine.ggml.ggml_backend_free(p));
    this.engine = engine;
  }

  /** @param threadPool threads shared with whoever computes in turn with it; by default each graph starts its own */
  static create(engine: Engine, threads: number, threadPool?: ThreadPool): CpuBackend {
    const { ggml } = engine;
    const device = ggml.ggml_backend_dev_by_type(ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU);
    const pointer = ggml.ggml_backend_dev_init(device, null);
    if (pointer === null) throw new EngineError("Cannot start ggml's CPU backend");
    const registry = ggml.ggml_backend_dev_backend_reg(device);
    setThreads(engine, registry, pointer, threads);
    if (threadPool) setThreadPool(engine, registry, pointer, threadPool);
    return new CpuBackend(engine, pointer);
  }
}

/**
 * C = Aᵀ B, the product that ggml computes fastest.
 *
 * @param a [k × m], rows of k
 * @param b [k × n], rows of k
 * @param rowLength k
 * @returns [m × n]: element (i, j) is the dot product of a's row i and b's row j
 */
export function matmulTransposed(
  backend: CpuBackend,
  a: Float32Array,
  b: Float32Array,
  rowLength: number,
): Float32Array {
  const m = a.length / rowLength;
  const n = b.length / rowLength;
  if (!Number.isInteger(m) || !Number.isInteger(n))
    throw new RangeError(`Cannot multiply: ${a.length} and ${b.length} values are not whole rows of ${rowLength}`);
  const { ggml } = backend.engine;
  const context = ggml.ggml_init({
    mem_size: ggml.ggml_tensor_overhead() * 8 + ggml.ggml_graph_overhead(),
    mem_buffer: null,
    no_alloc: true,
  });
  if (context === null) throw new EngineError("Cannot make a ggml context");
  let buffer: bigint | null = null;
  try {
    const left = ggml.ggml_new_tensor_2d(context, 0, rowLength, m);
    const right = ggml.ggml_new_tensor_2d(context, 0, rowLength, n);
    const product = ggml.ggml_mul_mat(context, left, right); // [m, n]
    const graph = ggml.ggml_new_graph(context);
    ggml.ggml_build_forward_expand(graph, product);
    buffer = ggml.ggml_backend_alloc_ctx_tensors(context, backend.pointer);
    if (buffer === null) throw new EngineError(`Cannot allocate a product of ${m} × ${n}`);
    ggml.ggml_backend_tensor_set(left, a, 0, a.byteLength);
    ggml.ggml_backend_tensor_set(right, b, 0, b.byteLength);
    const status = ggml.ggml_backend_graph_compute(backend.pointer, graph);
    if (status !== 0) throw new EngineError(`A matrix product failed: ${ggml.ggml_status_to_string(status)}`);
    return new Float32Array(viewBytes(ggml.ggml_get_data(product)!, m * n * 4)).slice();
  } finally {
    if (buffer !== null) ggml.ggml_backend_buffer_free(buffer);
    ggml.ggml_free(context);
  }
}

let setterTypes: Record<"threads" | "pool", ReturnType<typeof koffi.proto>> | undefined;

/** The CPU library is loaded by ggml itself, so its setters come from the registry instead of the symbol table. */
function setThreads(engine: Engine, registry: bigint | null, backend: bigint, threads: number): void {
  const setter = engine.ggml.ggml_backend_reg_get_proc_address(registry, "ggml_backend_set_n_threads");
  if (setter !== null) koffi.call(setter, types().threads, backend, threads);
}

/** Two pools on the same cores are in each other's way, as idle threads spin: Hessians took several times as long with one each. */
function setThreadPool(engine: Engine, registry: bigint | null, backend: bigint, pool: ThreadPool): void {
  const setter = engine.ggml.ggml_backend_reg_get_proc_address(registry, "ggml_backend_cpu_set_threadpool");
  if (setter !== null) koffi.call(setter, types().pool, backend, pool.pointer);
}

function types(): NonNullable<typeof setterTypes> {
  return (setterTypes ??= {
    threads: koffi.proto("void GgmlSetThreads(void *backend, int threads)"),
    pool: koffi.proto("void GgmlSetThreadPool(void *backend, void *pool)"),
  });
}
