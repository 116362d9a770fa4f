// The graphs behind Hessians: rows in, x xᵀ added to a sum, all in ggml. Its fastest product is Aᵀ B with rows of the summed
// dimension, so rows are gathered, transposed and multiplied, a block of columns at a time:
//   x [columns, rows] → t = cont(transpose(x)) [rows, columns] → mul_mat(t, t[block]) [columns, block] → added to the sum
// Products may be of t in bf16, added up in f32: on processors that multiply it directly they take half as long.
// A symmetric sum is formed on one side of the diagonal alone, which saves up to half of the multiplications, and one
// block's memory serves all blocks: a graph's nodes run in the order in which they were added.
import { EngineError } from "../errors.js";
import type { CpuBackend } from "../native/matmul.js";
import { BF16, F32, TensorArena } from "./tensor-arena.js";

/** What a sum is for: its name, and the shape of what enters. */
export interface SumShape {
  readonly name: string;
  readonly columns: number;
  /** Matrices of a stacked weight, each with its own sums. */
  readonly matrices: number;
  /** True where a router picks the matrices of each token. */
  readonly isRouted: boolean;
}

/** Rows in memory: `values[offset … offset + columns)` each. */
export interface Rows {
  values: Float32Array;
  offsets: Int32Array;
}

/** What products are computed in. bf16 keeps 8 bits of an input's every value, and their sum in f32. */
export type ProductPrecision = "f32" | "bf16";

/** What all products of a run have in common. */
export interface ProductOptions {
  /** Every input comes with a second model's rows of the same tokens. Default false. */
  isPaired?: boolean;
  /** Default f32. */
  precision?: ProductPrecision;
}

/** Columns of one block: large enough for ggml's tiles, small enough to stay in a core's cache until it is added. */
const BLOCK_COLUMNS = 256;

/** Bytes of a workspace. */
export function workspaceBytes(columns: number, rows: number, { isPaired, precision }: ProductOptions): number {
  const rowBytes = precision === "bf16" ? 4 + 4 + 2 : 4 + 4;
  return columns * (4 * Math.min(columns, BLOCK_COLUMNS) + (isPaired ? 2 : 1) * rowBytes * rows);
}

/** One product of a workspace and where it goes: `height` lines of a sum from `start` on, `width` long. */
interface BlockProduct {
  tensor: bigint;
  width: number;
  start: number;
  height: number;
}

/** Memory and products for one width of input, shared by all sums of that width. */
export class Workspace implements Disposable {
  readonly capacity: number;
  readonly input: Side;
  /** The other model's rows of the same tokens. */
  readonly original: Side | undefined;
  /** Blocks of Σ x̂ x̂ᵀ on one side of the diagonal. */
  readonly triangle: BlockProduct[] = [];
  /** Blocks of Σ x x̂ᵀ. */
  readonly square: BlockProduct[] = [];
  readonly #arena: TensorArena;

  constructor(backend: CpuBackend, columns: number, capacity: number, { isPaired, precision = "f32" }: ProductOptions) {
    this.capacity = capacity;
    this.#arena = new TensorArena(backend.engine, 11 + 5 * blockStarts(columns).length);
    const { ggml } = backend.engine;
    const context = this.#arena.pointer;
    const scratch = ggml.ggml_new_tensor_2d(context, F32, columns, Math.min(columns, BLOCK_COLUMNS))!;
    this.input = new Side(this.#arena, columns, capacity, precision);
    this.original = isPaired ? new Side(this.#arena, columns, capacity, precision) : undefined;
    const cuts = blockStarts(columns).map((start) => {
      const end = Math.min(columns, start + BLOCK_COLUMNS);
      const [before, block] = [this.input.lines(0, end), this.input.lines(start, end)];
      return { start, end, before, block, other: this.original?.lines(start, end) };
    });
    this.#arena.allocate(backend, `products of ${columns} columns`);
    const multiply = (left: bigint, right: bigint): bigint => {
      const product = ggml.ggml_mul_mat(context, left, right)!; // [lines of left, lines of right]
      this.#arena.place(product, scratch);
      return product;
    };
    for (const { start, end, before, block, other } of cuts) {
      const height = end - start;
      this.triangle.push({ tensor: multiply(before, block), width: end, start, height });
      if (other === undefined) continue;
      this.square.push({ tensor: multiply(this.input.factor, other), width: columns, start, height });
    }
  }

  /**
   * Copies rows in; what is left of the room is zero and adds nothing.
   *
   * @param original the same tokens' rows in the other model; a negative offset lets the row itself stand for one
   */
  gather(rows: Rows, original: Rows = rows): void {
    this.input.gather(rows, rows);
    this.original?.gather(original, rows);
  }

  [Symbol.dispose](): void {
    this.#arena[Symbol.dispose]();
  }
}

function blockStarts(columns: number): number[] {
  return Array.from({ length: Math.ceil(columns / BLOCK_COLUMNS) }, (_, block) => block * BLOCK_COLUMNS);
}

/** One model's rows, their transpose and their sum. */
class Side {
  /** The transpose as products take it, [rows, columns]. */
  readonly factor: bigint;
  readonly sum: bigint;
  readonly #arena: TensorArena;
  readonly #columns: number;
  readonly #rows: bigint;
  readonly #lineBytes: number;
  readonly #capacity: number;
  #filled = 0;
  #views: { rows: Float32Array; sum: Float32Array } | undefined;

  constructor(arena: TensorArena, columns: number, capacity: number, precision: ProductPrecision) {
    const { ggml } = arena.engine;
    const context = arena.pointer;
    this.#arena = arena;
    this.#columns = columns;
    this.#capacity = capacity;
    this.#rows = ggml.ggml_new_tensor_2d(context, F32, columns, capacity)!; // [columns, rows]
    const transposed = ggml.ggml_cont(context, ggml.ggml_transpose(context, this.#rows))!; // [rows, columns]
    this.sum = ggml.ggml_sum_rows(context, transposed)!; // [1, columns]
    this.factor = precision === "f32" ? transposed : ggml.ggml_cast(context, transposed, BF16)!;
    this.#lineBytes = capacity * (precision === "f32" ? 4 : 2);
  }

  /** Lines `start` to `end` of the transpose. */
  lines(start: number, end: number): bigint {
    const { ggml } = this.#arena.engine;
    const [context, height, lineBytes] = [this.#arena.pointer, end - start, this.#lineBytes];
    return ggml.ggml_view_2d(context, this.factor, this.#capacity, height, lineBytes, start * lineBytes)!;
  }

  gather({ values, offsets }: Rows, standIn: Rows): void {
    const columns = this.#columns;
    const { rows } = this.#floats();
    offsets.forEach((offset, row) => {
      const source = offset < 0 ? standIn.values : values;
      const start = offset < 0 ? standIn.offsets[row]! : offset;
      rows.set(source.subarray(start, start + columns), row * columns);
    });
    if (offsets.length < this.#filled) rows.fill(0, offsets.length * columns, this.#filled * columns);
    this.#filled = offsets.length;
  }

  /** Adds what the last graph summed. */
  addSum(total: Float64Array, start: number): void {
    const { sum } = this.#floats();
    for (let j = 0; j < sum.length; j++) total[start + j]! += sum[j]!;
  }

  #floats(): { rows: Float32Array; sum: Float32Array } {
    return (this.#views ??= { rows: this.#arena.floats(this.#rows), sum: this.#arena.floats(this.sum) });
  }
}

/** The sums of one group, a plane for each matrix, and the graphs that add to them. */
export class GroupSum implements Disposable {
  readonly shape: SumShape;
  /** Σ x̂ per column, [columns × matrices]. */
  readonly inputSums: Float64Array;
  /** Σ x per column, where a second model runs. */
  readonly originalSums: Float64Array | undefined;
  readonly #backend: CpuBackend;
  readonly #work: Workspace;
  readonly #arena: TensorArena;
  readonly #graphs: bigint[];
  readonly #triangle: Float32Array;
  readonly #square: Float32Array | undefined;

  constructor(backend: CpuBackend, work: Workspace, shape: SumShape) {
    const { ggml } = backend.engine;
    const { name, columns, matrices } = shape;
    const products = work.triangle.length + work.square.length;
    const nodes = 16 + 5 * products;
    this.shape = shape;
    this.#backend = backend;
    this.#work = work;
    this.#arena = new TensorArena(backend.engine, 2 + 2 * matrices * products, matrices, nodes);
    const context = this.#arena.pointer;
    const newSum = (): bigint => ggml.ggml_new_tensor_3d(context, F32, columns, columns, matrices)!;
    const triangle = newSum();
    const square = work.original ? newSum() : undefined;
    this.#graphs = Array.from({ length: matrices }, (_, matrix) => {
      const graph = ggml.ggml_new_graph_custom(context, nodes, false)!;
      const addTo = (sum: bigint, { tensor, width, start, height }: BlockProduct): void => {
        const offsetBytes = 4 * columns * (matrix * columns + start);
        const lines = ggml.ggml_view_2d(context, sum, width, height, 4 * columns, offsetBytes);
        ggml.ggml_build_forward_expand(graph, ggml.ggml_add_inplace(context, lines, tensor));
      };
      for (const side of [work.input, work.original]) if (side) ggml.ggml_build_forward_expand(graph, side.sum);
      for (const product of work.triangle) addTo(triangle, product);
      for (const product of work.square) addTo(square!, product);
      return graph;
    });
    this.#arena.allocate(backend, `the Hessian of "${name}"`);
    this.#triangle = this.#arena.floats(triangle);
    this.#square = square === undefined ? undefined : this.#arena.floats(square);
    this.inputSums = new Float64Array(columns * matrices);
    this.originalSums = work.original && new Float64Array(columns * matrices);
  }

  /** Adds the rows that the workspace holds now. */
  add(matrix: number): void {
    const { ggml } = this.#backend.engine;
    const status = ggml.ggml_backend_graph_compute(this.#backend.pointer, this.#graphs[matrix]!);
    if (status !== 0) throw new EngineError(`A matrix product failed: ${ggml.ggml_status_to_string(status)}`);
    const start = matrix * this.shape.columns;
    this.#work.input.addSum(this.inputSums, start);
    if (this.originalSums) this.#work.original!.addSum(this.originalSums, start);
  }

  /** Σ x̂ x̂ᵀ so far, [columns × columns × matrices]; a view of native memory, valid until disposed of. */
  hessian(): Float32Array {
    const { columns, matrices } = this.shape;
    for (let matrix = 0; matrix < matrices; matrix++) mirror(this.#triangle, columns, matrix * columns ** 2);
    return this.#triangle;
  }

  /** Σ x x̂ᵀ so far, element (i, j) of a plane at i · columns + j; a view like the other. */
  cross(): Float32Array | undefined {
    return this.#square;
  }

  [Symbol.dispose](): void {
    this.#arena[Symbol.dispose]();
  }
}

/** Copies element (j, i), i < j, to (i, j), in tiles that a cache holds. */
function mirror(matrix: Float32Array, columns: number, plane: number): void {
  const tile = 32;
  for (let top = 0; top < columns; top += tile) {
    for (let left = 0; left <= top; left += tile) {
      for (let j = top; j < Math.min(columns, top + tile); j++) {
        for (let i = left; i < Math.min(j, left + tile); i++) {
          matrix[plane + i * columns + j] = matrix[plane + j * columns + i]!;
        }
      }
    }
  }
}
