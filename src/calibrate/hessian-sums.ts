// Full input Hessians Σ x xᵀ of linear layers, [columns × columns] each, computed and kept by ggml. Error feedback when
// rounding (GPTQ, Frantar et al., 2022, arXiv:2210.17323) needs them; a diagonal is enough for everything else.
//
// ggml's fastest product is Aᵀ B with rows of the summed dimension, so rows are gathered, transposed and multiplied:
//   x [columns, rows] → t = cont(transpose(x)) [rows, columns] → mul_mat(t, t) [columns, columns] → added to the sum
import { EngineError, ResourceError } from "../errors.js";
import { type Engine, viewBytes } from "../native/engine.js";
import { NativeHandle } from "../native/handle.js";
import type { CpuBackend } from "../native/matmul.js";
import { formatBytes } from "../support/units.js";
import type { InputGroup, InputRows } from "./input-collector.js";

/** Rows that one product takes for a routed layer: an expert sees few tokens of a batch. */
const ROUTED_ROWS = 64;
/** What else must fit beside the sums. */
const MEMORY_SHARE_MAX = 0.9;

/**
 * Bytes that the Hessians of these layers take in memory and, nearly, on disk.
 *
 * @param rows rows gathered for one product
 */
export function hessianBytes(groups: Iterable<InputGroup>, rows: number): { sumsBytes: number; workBytes: number } {
  let sumsBytes = 0;
  const workBytes = new Map<string, number>();
  for (const group of groups) {
    sumsBytes += 4 * group.columns ** 2 * group.matrices;
    const capacity = rowCapacity(group, rows);
    workBytes.set(`${group.columns}/${capacity}`, 4 * (group.columns ** 2 + 2 * group.columns * capacity));
  }
  return { sumsBytes, workBytes: [...workBytes.values()].reduce((total, bytes) => total + bytes, 0) };
}

/**
 * Refuses Hessians that memory can't hold.
 *
 * @throws {ResourceError} with both numbers
 */
export function requireHessianMemory(groups: Iterable<InputGroup>, rows: number, availableBytes: number): void {
  const { sumsBytes, workBytes } = hessianBytes(groups, rows);
  const needed = sumsBytes + workBytes;
  if (needed <= availableBytes * MEMORY_SHARE_MAX) return;
  throw new ResourceError(
    `Cannot keep the Hessians of all layers: they take ${formatBytes(needed)} and ${formatBytes(availableBytes)} of memory is free`,
    { hint: "Choose fewer layers with --hessian-tensors, such as 'blk\\.[0-3]\\.', and run once for each choice" },
  );
}

/** Running Hessians of a set of groups. */
export class HessianSums implements Disposable {
  readonly #backend: CpuBackend;
  readonly #rows: number;
  readonly #works = new Map<string, Workspace>();
  readonly #sums = new Map<string, GroupSum>();

  /** @param rows rows gathered for one product: those of a whole batch keep ggml busiest */
  constructor(backend: CpuBackend, rows: number) {
    this.#backend = backend;
    this.#rows = rows;
  }

  add({ group, matrix, values, offsets }: InputRows): void {
    const work = this.#workFor(group);
    let sum = this.#sums.get(group.name);
    if (!sum) this.#sums.set(group.name, (sum = new GroupSum(this.#backend, work, group)));
    for (let start = 0; start < offsets.length; start += work.capacity) {
      work.gather(values, offsets.subarray(start, start + work.capacity));
      sum.addProduct(matrix);
    }
  }

  /** The sum of a group so far, [columns × columns × matrices]; a view of native memory, valid until disposed of. */
  matrixOf(group: InputGroup): Float32Array | undefined {
    return this.#sums.get(group.name)?.matrix;
  }

  [Symbol.dispose](): void {
    for (const sum of this.#sums.values()) sum[Symbol.dispose]();
    for (const work of this.#works.values()) work[Symbol.dispose]();
  }

  #workFor(group: InputGroup): Workspace {
    const capacity = rowCapacity(group, this.#rows);
    const key = `${group.columns}/${capacity}`;
    let work = this.#works.get(key);
    if (!work) this.#works.set(key, (work = new Workspace(this.#backend, group.columns, capacity)));
    return work;
  }
}

function rowCapacity(group: InputGroup, rows: number): number {
  return group.isRouted ? Math.min(ROUTED_ROWS, rows) : rows;
}

/** A ggml context and the buffer behind its tensors. */
class TensorArena extends NativeHandle {
  #buffer: bigint | null = null;
  readonly engine: Engine;

  constructor(engine: Engine, tensors: number, graphs = 0) {
    const { ggml } = engine;
    const sizeBytes =
      ggml.ggml_tensor_overhead() * (tensors + 1) + graphs * (ggml.ggml_graph_overhead_custom(GRAPH_NODES, false) + 64);
    const pointer = ggml.ggml_init({ mem_size: sizeBytes, mem_buffer: null, no_alloc: true });
    if (pointer === null) throw new EngineError("Cannot make a ggml context");
    super(pointer, (context) => ggml.ggml_free(context));
    this.engine = engine;
  }

  /** Gives every tensor memory, all zeros. */
  allocate(backend: CpuBackend, what: string): void {
    const { ggml } = this.engine;
    this.#buffer = ggml.ggml_backend_alloc_ctx_tensors(this.pointer, backend.pointer);
    if (this.#buffer === null) throw new ResourceError(`Cannot allocate memory for ${what}`);
    ggml.ggml_backend_buffer_clear(this.#buffer, 0);
  }

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

const GRAPH_NODES = 16;
const F32 = 0;

/** Memory for one product, shared by all groups of the same width. */
class Workspace implements Disposable {
  readonly capacity: number;
  readonly product: bigint;
  readonly #columns: number;
  readonly #arena: TensorArena;
  readonly #rows: Float32Array;
  #filled = 0;

  constructor(backend: CpuBackend, columns: number, capacity: number) {
    this.capacity = capacity;
    this.#columns = columns;
    this.#arena = new TensorArena(backend.engine, 4);
    const { ggml } = backend.engine;
    const context = this.#arena.pointer;
    const rows = ggml.ggml_new_tensor_2d(context, F32, columns, capacity)!; // [columns, rows]
    const transposed = ggml.ggml_cont(context, ggml.ggml_transpose(context, rows)); // [rows, columns]
    this.product = ggml.ggml_mul_mat(context, transposed, transposed)!; // [columns, columns]
    this.#arena.allocate(backend, `products of ${columns} columns`);
    this.#rows = this.#arena.floats(rows);
  }

  /** Copies rows in; what is left of the room is zero and adds nothing. */
  gather(values: Float32Array, offsets: Int32Array): void {
    const columns = this.#columns;
    offsets.forEach((offset, row) => this.#rows.set(values.subarray(offset, offset + columns), row * columns));
    if (offsets.length < this.#filled) this.#rows.fill(0, offsets.length * columns, this.#filled * columns);
    this.#filled = offsets.length;
  }

  [Symbol.dispose](): void {
    this.#arena[Symbol.dispose]();
  }
}

/** The Hessian of one group, a plane for each matrix, and the graphs that add to it. */
class GroupSum implements Disposable {
  readonly matrix: Float32Array;
  readonly #backend: CpuBackend;
  readonly #arena: TensorArena;
  readonly #graphs: bigint[];

  constructor(backend: CpuBackend, work: Workspace, { name, columns, matrices }: InputGroup) {
    const { ggml } = backend.engine;
    this.#backend = backend;
    this.#arena = new TensorArena(backend.engine, 1 + 2 * matrices, matrices);
    const context = this.#arena.pointer;
    const sum = ggml.ggml_new_tensor_3d(context, F32, columns, columns, matrices)!;
    this.#graphs = Array.from({ length: matrices }, (_, matrix) => {
      const plane = ggml.ggml_view_2d(context, sum, columns, columns, columns * 4, matrix * columns * columns * 4);
      const graph = ggml.ggml_new_graph_custom(context, GRAPH_NODES, false)!;
      ggml.ggml_build_forward_expand(graph, ggml.ggml_add_inplace(context, plane, work.product));
      return graph;
    });
    this.#arena.allocate(backend, `the Hessian of "${name}"`);
    this.matrix = this.#arena.floats(sum);
  }

  addProduct(matrix: number): void {
    const { ggml } = this.#backend.engine;
    const status = ggml.ggml_backend_graph_compute(this.#backend.pointer, this.#graphs[matrix]!);
    if (status !== 0) throw new EngineError(`A matrix product failed: ${ggml.ggml_status_to_string(status)}`);
  }

  [Symbol.dispose](): void {
    this.#arena[Symbol.dispose]();
  }
}
