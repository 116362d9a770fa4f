// Full input Hessians Σ x xᵀ of linear layers, [columns × columns] each, computed and kept by ggml. Error feedback when
// rounding (GPTQ, Frantar et al., 2022, arXiv:2210.17323) needs them; a diagonal is enough for everything else. With the
// rows of a second model beside them, also Σ x x̂ᵀ (asymmetric calibration, Li et al., 2025, arXiv:2504.02692).
import { ResourceError } from "../errors.js";
import type { CpuBackend } from "../native/matmul.js";
import { formatBytes } from "../support/units.js";
import {
  GroupSum,
  type ProductOptions,
  type Rows,
  type SumShape,
  Workspace,
  workspaceBytes,
} from "./hessian-products.js";

/** Rows that one product takes for a routed layer: an expert sees few tokens of a batch. */
const ROUTED_ROWS = 64;
/** What else must fit beside the sums. */
const MEMORY_SHARE_MAX = 0.9;

/**
 * Bytes that the Hessians of these layers take in memory and, nearly, on disk.
 *
 * @param rows rows gathered for one product
 * @param options with a second model's rows there is Σ x x̂ᵀ, too
 */
export function hessianBytes(
  groups: Iterable<SumShape>,
  rows: number,
  options: ProductOptions = {},
): { sumsBytes: number; workBytes: number } {
  let sumsBytes = 0;
  const workBytes = new Map<string, number>();
  for (const group of groups) {
    sumsBytes += 4 * group.columns ** 2 * group.matrices * (options.isPaired ? 2 : 1);
    const capacity = rowCapacity(group, rows);
    workBytes.set(`${group.columns}/${capacity}`, workspaceBytes(group.columns, capacity, options));
  }
  return { sumsBytes, workBytes: [...workBytes.values()].reduce((total, bytes) => total + bytes, 0) };
}

/**
 * Refuses Hessians that memory can't hold.
 *
 * @throws {ResourceError} with both numbers
 */
export function requireHessianMemory(groups: Iterable<SumShape>, rows: number, availableBytes: number): void {
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
  readonly #options: ProductOptions;
  readonly #works = new Map<string, Workspace>();
  readonly #sums = new Map<string, GroupSum>();

  /** @param rows rows gathered for one product: those of a whole batch keep ggml busiest */
  constructor(backend: CpuBackend, rows: number, options: ProductOptions = {}) {
    this.#backend = backend;
    this.#rows = rows;
    this.#options = options;
  }

  /**
   * Adds rows that enter one matrix.
   *
   * @param original rows of the same tokens in the second model; a negative offset lets the row itself stand for one
   */
  add({ group, matrix, values, offsets }: Rows & { group: SumShape; matrix: number }, original?: Rows): void {
    const work = this.#workFor(group);
    const sum = this.sumFor(group);
    for (let start = 0; start < offsets.length; start += work.capacity) {
      const part = (rows: Rows): Rows => ({
        values: rows.values,
        offsets: rows.offsets.subarray(start, start + work.capacity),
      });
      work.gather(part({ values, offsets }), original && part(original));
      sum.add(matrix);
    }
  }

  /** The sums of a group, all zeros where nothing was added. */
  sumFor(group: SumShape): GroupSum {
    let sum = this.#sums.get(group.name);
    if (!sum) this.#sums.set(group.name, (sum = new GroupSum(this.#backend, this.#workFor(group), group)));
    return sum;
  }

  /** The Hessian of a group so far, [columns × columns × matrices]; a view of native memory, valid until disposed of. */
  matrixOf(group: SumShape): Float32Array | undefined {
    return this.#sums.get(group.name)?.hessian();
  }

  /** Frees what only adding needs; the sums stay. */
  finish(): void {
    for (const work of this.#works.values()) work[Symbol.dispose]();
    this.#works.clear();
  }

  [Symbol.dispose](): void {
    for (const sum of this.#sums.values()) sum[Symbol.dispose]();
    this.finish();
  }

  #workFor(group: SumShape): Workspace {
    const capacity = rowCapacity(group, this.#rows);
    const key = `${group.columns}/${capacity}`;
    let work = this.#works.get(key);
    if (!work) this.#works.set(key, (work = new Workspace(this.#backend, group.columns, capacity, this.#options)));
    return work;
  }
}

function rowCapacity(group: SumShape, rows: number): number {
  return group.isRouted ? Math.min(ROUTED_ROWS, rows) : rows;
}
