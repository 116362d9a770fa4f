// Softmax over rows of logits through ggml, on several threads. A JavaScript loop over a vocabulary of 32 000 takes as long
// as a small model takes for the token itself; ggml's exponential is vectorised.
import { EngineError } from "../errors.js";
import type { Engine } from "../native/engine.js";
import { viewBytes } from "../native/engine.js";
import { NativeHandle } from "../native/handle.js";
import { CpuBackend } from "../native/matmul.js";

const GGML_TYPE_F32 = 0;
const BLOCK_BYTES = 8 << 20; // probabilities of one block; stays near the cores' caches

/** Turns blocks of logits in native memory into probabilities. */
export class RowSoftmax extends NativeHandle {
  readonly columns: number;
  /** Most rows in one call. */
  readonly rowsMax: number;
  readonly #engine: Engine;
  readonly #backend: CpuBackend;
  readonly #base: bigint;
  readonly #probabilities: Float32Array;

  private constructor(backend: CpuBackend, buffer: bigint, columns: number, rowsMax: number) {
    super(buffer, (pointer) => {
      backend.engine.ggml.ggml_backend_buffer_free(pointer);
      backend[Symbol.dispose]();
    });
    this.#engine = backend.engine;
    this.#backend = backend;
    this.columns = columns;
    this.rowsMax = rowsMax;
    this.#base = this.#engine.ggml.ggml_backend_buffer_get_base(buffer)!;
    this.#probabilities = new Float32Array(viewBytes(this.#base, columns * rowsMax * 4));
  }

  static create(engine: Engine, columns: number, threads: number): RowSoftmax {
    const rowsMax = Math.max(1, Math.floor(BLOCK_BYTES / (columns * 4)));
    const backend = CpuBackend.create(engine, threads);
    const type = engine.ggml.ggml_backend_get_default_buffer_type(backend.pointer);
    const buffer = engine.ggml.ggml_backend_buft_alloc_buffer(type, columns * rowsMax * 4);
    if (buffer === null) {
      backend[Symbol.dispose]();
      throw new EngineError(`Cannot allocate ${rowsMax} rows of ${columns} probabilities`);
    }
    return new RowSoftmax(backend, buffer, columns, rowsMax);
  }

  /**
   * p = exp(scale · x) / Σ exp(scale · x), row by row.
   *
   * @param logits address of a matrix [columns × rows of it] on the host, aligned to 32 bytes
   * @param firstRow where to start
   * @param rows at most `rowsMax`
   * @param scale 1 / temperature
   * @returns [columns × rows], in native memory: valid until the next call
   */
  compute(logits: bigint, firstRow: number, rows: number, scale = 1): Float32Array {
    if (!(rows >= 1 && rows <= this.rowsMax))
      throw new RangeError(`Cannot take ${rows} rows: 1 to ${this.rowsMax} fit`);
    const { ggml } = this.#engine;
    const sizeBytes = (firstRow + rows) * this.columns * 4;
    const source = ggml.ggml_backend_cpu_buffer_from_ptr(logits, sizeBytes);
    const memoryBytes = ggml.ggml_tensor_overhead() * 4 + ggml.ggml_graph_overhead();
    const context = ggml.ggml_init({ mem_size: memoryBytes, mem_buffer: null, no_alloc: true });
    if (source === null || context === null) throw new EngineError("Cannot prepare a softmax over logits");
    try {
      const input = ggml.ggml_new_tensor_2d(context, GGML_TYPE_F32, this.columns, rows); // [vocabulary, rows]
      const output = ggml.ggml_soft_max_ext(context, input, null, scale, 0); // [vocabulary, rows]
      ggml.ggml_backend_tensor_alloc(source, input, logits + BigInt(firstRow * this.columns * 4));
      ggml.ggml_backend_tensor_alloc(this.pointer, output, this.#base);
      const graph = ggml.ggml_new_graph(context);
      ggml.ggml_build_forward_expand(graph, output);
      const status = ggml.ggml_backend_graph_compute(this.#backend.pointer, graph);
      if (status !== 0) throw new EngineError(`A softmax failed: ${ggml.ggml_status_to_string(status)}`);
    } finally {
      ggml.ggml_free(context);
      ggml.ggml_backend_buffer_free(source);
    }
    return this.#probabilities.subarray(0, this.columns * rows);
  }
}
