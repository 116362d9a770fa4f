// A ggml context and the one buffer behind its tensors, for graphs that are built once and computed often.
import { EngineError, ResourceError } from "../errors.js";
import { type Engine, viewBytes } from "../native/engine.js";
import { NativeHandle } from "../native/handle.js";
import type { CpuBackend } from "../native/matmul.js";

/** ggml's id of its 32-bit floats. */
export const F32 = 0;
/** And of those with the upper half of their bits. */
export const BF16 = 30;

export class TensorArena extends NativeHandle {
  #buffer: bigint | null = null;
  readonly engine: Engine;

  /**
   * @param tensors room for so many, views and results included
   * @param graphs room for so many graphs
   * @param graphNodes most nodes of one graph
   */
  constructor(engine: Engine, tensors: number, graphs = 0, graphNodes = 0) {
    const { ggml } = engine;
    const sizeBytes =
      ggml.ggml_tensor_overhead() * (tensors + 1) + graphs * (ggml.ggml_graph_overhead_custom(graphNodes, false) + 64);
    const pointer = ggml.ggml_init({ mem_size: sizeBytes, mem_buffer: null, no_alloc: true });
    if (pointer === null) throw new EngineError("Cannot make a ggml context");
    super(pointer, (context) => ggml.ggml_free(context));
    this.engine = engine;
  }

  /** Gives every tensor so far memory, all zeros. */
  allocate(backend: CpuBackend, what: string): void {
    const { ggml } = this.engine;
    this.#buffer = ggml.ggml_backend_alloc_ctx_tensors(this.pointer, backend.pointer);
    if (this.#buffer === null) throw new ResourceError(`Cannot allocate memory for ${what}`);
    ggml.ggml_backend_buffer_clear(this.#buffer, 0);
  }

  /** Lays a tensor made after `allocate` where another one lies, which it may overwrite. */
  place(tensor: bigint, over: bigint): void {
    const { ggml } = this.engine;
    const status = ggml.ggml_backend_tensor_alloc(this.#buffer, tensor, ggml.ggml_get_data(over));
    if (status !== 0) throw new EngineError(`Cannot place a tensor: ${ggml.ggml_status_to_string(status)}`);
  }

  /** A view of a tensor's memory, valid until disposed of. */
  floats(tensor: bigint): Float32Array {
    const { ggml } = this.engine;
    return new Float32Array(viewBytes(ggml.ggml_get_data(tensor)!, ggml.ggml_nbytes(tensor)));
  }

  override [Symbol.dispose](): void {
    if (this.#buffer !== null) this.engine.ggml.ggml_backend_buffer_free(this.#buffer);
    this.#buffer = null;
    super[Symbol.dispose]();
  }
}
