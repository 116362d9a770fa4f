// Watches a running graph and adds up what enters each linear layer. The rules of what counts are llama-imatrix's: every
// MUL_MAT of a `blk.` weight with at least 16 rows of f32 input, every MUL_MAT_ID, `output.weight` on request.
//
// Weights that read one tensor (q, k and v; gate and up) form a group: its input is looked at once, at the first of them.
import type { EngineError } from "../errors.js";
import type { TensorView } from "../native/observe.js";
import type { Rows, SumShape } from "./hessian-products.js";
import {
  isProduct,
  isRoutedProduct,
  matricesOf,
  rowsByMatrix,
  rowsOf,
  unsoundInput,
  weightName,
} from "./product-inputs.js";
import { addSquares, firstUnsound } from "./sum-squares.js";
import { ROWS_MIN } from "./windows.js";

/** The output matrix of a model that does not use its embedding for it. */
export const OUTPUT_WEIGHT = "output.weight";
/** The embedding, where a model multiplies by it once more at the end. */
export const TIED_OUTPUT_WEIGHT = "token_embd.weight";

/** Rows of a group's input on their way into one matrix. */
export interface InputRows extends Rows {
  group: InputGroup;
  matrix: number;
}

/** Linear layers that share one input, and that input's statistics. Its name is that of the weight that computes first. */
export interface InputGroup extends SumShape {
  /** All weights, the first included. */
  readonly weights: Set<string>;
  /** The graph's name of the input, and its elements in the first graph that had it. */
  readonly node: string;
  readonly elements: number;
  /** Σ x² per column, [columns × matrices]. */
  readonly sums: Float64Array;
  /** Rows seen: one count per matrix where routed, otherwise one for all, as llama-imatrix keeps it. */
  readonly counts: Float64Array;
}

export interface CollectorOptions {
  /** Weights to watch beside those of layers, such as `output.weight`. */
  outputs?: readonly string[];
  /** Gets every input once more, for statistics beyond the diagonal. */
  onRows?: (rows: InputRows) => void;
}

export class InputCollector {
  readonly groups = new Map<string, InputGroup>();
  readonly #options: CollectorOptions;
  /** Groups of the graph that runs now, by their input's address. */
  readonly #current = new Map<string, InputGroup>();
  readonly #seenWeights = new Set<string>();

  constructor(options: CollectorOptions = {}) {
    this.#options = options;
  }

  /** True for the first weight of each group. The others join their group here and cost nothing more. */
  wants(product: TensorView): boolean {
    if (!isProduct(product)) return false;
    const isRouted = isRoutedProduct(product);
    const [weight, input] = [product.source(0)!, product.source(1)!];
    const name = weightName(product);
    this.#noticeGraphStart(name);
    if (!isRouted && !this.#counts(name, input)) return false;
    const key = `${input.pointer}/${isRouted ? product.source(2)!.pointer : 0n}/${matricesOf(weight)}`;
    const group = this.#current.get(key);
    if (!group) this.#current.set(key, this.#groupFor(name, product));
    else group.weights.add(name);
    return !group;
  }

  sees(product: TensorView): void {
    const group = this.groups.get(weightName(product))!;
    const input = product.source(1)!;
    const values = input.floats();
    for (const [matrix, { offsets }] of rowsByMatrix(product)) {
      addSquares(values, offsets, group.columns, group.sums, matrix * group.columns);
      if (group.isRouted) group.counts[matrix]! += offsets.length;
      this.#options.onRows?.({ group, matrix, values, offsets });
    }
    if (!group.isRouted) group.counts[0]! += rowsOf(input) / group.matrices;
    const bad = firstUnsound(group.sums);
    if (bad >= 0) throw unsoundSquares(group, bad);
  }

  #counts(name: string, input: TensorView): boolean {
    if (!name.startsWith("blk.") && !this.#options.outputs?.includes(name)) return false;
    return input.shape[1] >= ROWS_MIN && input.type === "f32";
  }

  /** Tensors' addresses mean the same input within one graph only, and a graph multiplies by each weight once. */
  #noticeGraphStart(name: string): void {
    if (this.#seenWeights.has(name)) {
      this.#seenWeights.clear();
      this.#current.clear();
    }
    this.#seenWeights.add(name);
  }

  #groupFor(name: string, product: TensorView): InputGroup {
    const known = this.groups.get(name);
    if (known) return known;
    const [weight, input] = [product.source(0)!, product.source(1)!];
    const [columns, matrices, isRouted] = [weight.shape[0], matricesOf(weight), isRoutedProduct(product)];
    const group: InputGroup = {
      name,
      weights: new Set([name]),
      node: input.name,
      elements: columns * rowsOf(input),
      columns,
      matrices,
      isRouted,
      sums: new Float64Array(columns * matrices),
      counts: new Float64Array(isRouted ? matrices : 1),
    };
    this.groups.set(name, group);
    return group;
  }
}

function unsoundSquares({ name, columns, sums }: InputGroup, at: number): EngineError {
  const reason = Number.isFinite(sums[at]) ? "has squares beyond what a float holds" : "is NaN or infinite";
  return unsoundInput(name, reason, at % columns);
}
