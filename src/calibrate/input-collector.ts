// Watches a running graph and adds up what enters each linear layer. The rules of what counts are llama-imatrix's: every
// MUL_MAT of a `blk.` weight with at least 16 rows of f32 input, every MUL_MAT_ID, `output.weight` on request.
//
// Weights that read one tensor (q, k and v; gate and up) form a group: its input is looked at once, at the first of them.
import { EngineError } from "../errors.js";
import type { TensorView } from "../native/observe.js";
import { addSquares, firstUnsound } from "./sum-squares.js";
import { ROWS_MIN } from "./windows.js";

/** Rows of a group's input on their way into one matrix: `values[offset … offset + columns)` each. */
export interface InputRows {
  group: InputGroup;
  matrix: number;
  values: Float32Array;
  offsets: Int32Array;
}

/** Linear layers that share one input, and that input's statistics. */
export interface InputGroup {
  /** The weight that computes first; it names the group. */
  readonly name: string;
  /** All weights, the first included. */
  readonly weights: Set<string>;
  readonly columns: number;
  /** Matrices of a stacked weight, each with its own sums. */
  readonly matrices: number;
  /** True where a router picks the matrices of each token. */
  readonly isRouted: boolean;
  /** Σ x² per column, [columns × matrices]. */
  readonly sums: Float64Array;
  /** Rows seen: one count per matrix where routed, otherwise one for all, as llama-imatrix keeps it. */
  readonly counts: Float64Array;
}

export interface CollectorOptions {
  /** Also watch `output.weight`. */
  processOutput?: boolean;
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
    const isRouted = product.op === "MUL_MAT_ID";
    if (!isRouted && product.op !== "MUL_MAT") return false;
    const [weight, input] = [product.source(0)!, product.source(1)!];
    const name = weightName(weight.name);
    this.#noticeGraphStart(name);
    if (!isRouted && !this.#counts(name, input)) return false;
    const key = `${input.pointer}/${isRouted ? product.source(2)!.pointer : 0n}/${matricesOf(weight)}`;
    const group = this.#current.get(key);
    if (!group) this.#current.set(key, this.#groupFor(name, weight, isRouted));
    else group.weights.add(name);
    return !group;
  }

  sees(product: TensorView): void {
    const group = this.groups.get(weightName(product.source(0)!.name))!;
    const rowsByMatrix = group.isRouted ? routedRows(product, group) : denseRows(product, group);
    const input = product.source(1)!;
    const values = input.floats();
    for (const [matrix, offsets] of rowsByMatrix) {
      addSquares(values, offsets, group.columns, group.sums, matrix * group.columns);
      if (group.isRouted) group.counts[matrix]! += offsets.length;
      this.#options.onRows?.({ group, matrix, values, offsets });
    }
    if (!group.isRouted) group.counts[0]! += rowCount(input) / group.matrices;
    const bad = firstUnsound(group.sums);
    if (bad >= 0) throw unsoundInput(group, bad);
  }

  #counts(name: string, input: TensorView): boolean {
    if (!name.startsWith("blk.") && !(this.#options.processOutput && name === "output.weight")) return false;
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

  #groupFor(name: string, weight: TensorView, isRouted: boolean): InputGroup {
    const known = this.groups.get(name);
    if (known) return known;
    const [columns, matrices] = [weight.shape[0], matricesOf(weight)];
    const group: InputGroup = {
      name,
      weights: new Set([name]),
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

/** On several devices ggml renames copies: `CUDA0#blk.0.attn_k.weight#0`. */
function weightName(name: string): string {
  return /#([^#]*)/.exec(name)?.[1] ?? name;
}

function matricesOf(weight: TensorView): number {
  return weight.shape[2] * weight.shape[3];
}

function rowCount(tensor: TensorView): number {
  return tensor.shape[1] * tensor.shape[2] * tensor.shape[3];
}

/** Input [columns, rows, i2, i3]: plane (i2, i3) enters matrix (i2 mod ne2, i3 mod ne3); a 2-D weight takes them all. */
function denseRows(product: TensorView, group: InputGroup): Map<number, Int32Array> {
  const [weight, input] = [product.source(0)!, product.source(1)!];
  const [, rows, planes, volumes] = input.shape;
  const [, row, plane, volume] = floatStrides(input);
  const offsets = Array.from({ length: group.matrices }, () => [] as number[]);
  for (let i3 = 0; i3 < volumes; i3++) {
    for (let i2 = 0; i2 < planes; i2++) {
      const target = offsets[(i3 % weight.shape[3]) * weight.shape[2] + (i2 % weight.shape[2])]!;
      for (let i1 = 0; i1 < rows; i1++) target.push(i1 * row + i2 * plane + i3 * volume);
    }
  }
  return new Map(offsets.map((list, matrix) => [matrix, Int32Array.from(list)]));
}

/** Input [columns, used or 1, tokens] and expert ids [used, tokens]: each token enters the experts that its ids name. */
function routedRows(product: TensorView, group: InputGroup): Map<number, Int32Array> {
  const [input, ids] = [product.source(1)!, product.source(2)!];
  const [used, tokens] = ids.shape;
  const [, slotStride, tokenStride] = floatStrides(input);
  const [idStride, idTokenStride] = [ids.strides[0] / 4, ids.strides[1] / 4];
  const chosen = ids.integers();
  const offsets = new Map<number, number[]>();
  for (let token = 0; token < tokens; token++) {
    for (let slot = 0; slot < used; slot++) {
      const expert = chosen[token * idTokenStride + slot * idStride]!;
      if (!(expert >= 0 && expert < group.matrices)) {
        throw new EngineError(`The router of "${group.name}" chose expert ${expert} of ${group.matrices}`);
      }
      const list = offsets.get(expert);
      const offset = (slot % input.shape[1]) * slotStride + token * tokenStride;
      if (list) list.push(offset);
      else offsets.set(expert, [offset]);
    }
  }
  return new Map([...offsets].map(([expert, list]) => [expert, Int32Array.from(list)]));
}

function floatStrides(tensor: TensorView): [number, number, number, number] {
  const [element, row, plane, volume] = tensor.strides;
  if (element !== 4) throw new EngineError(`The input "${tensor.name}" does not lie in rows of floats`);
  return [1, row / 4, plane / 4, volume / 4];
}

function unsoundInput({ name, columns, sums }: InputGroup, at: number): EngineError {
  const reason = Number.isFinite(sums[at]) ? "has squares beyond what a float holds" : "is NaN or infinite";
  return new EngineError(`The input of "${name}" ${reason} in column ${at % columns}`, {
    hint: "The model's weights are damaged, or it needs another precision than the one it was stored in",
  });
}
