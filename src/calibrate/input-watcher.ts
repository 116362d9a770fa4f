// Watches a graph for chosen inputs and ends it after the last of them. What one model's graph showed can be kept until
// another model's graph shows the same inputs for the same tokens.
import { EngineError } from "../errors.js";
import type { Observer, TensorView } from "../native/observe.js";
import type { DistinctInput } from "./distinct-inputs.js";
import type { Rows } from "./hessian-products.js";
import { type MatrixRows, isProduct, plainRows, rowsByMatrix, weightName } from "./product-inputs.js";

/** An input as one graph has it; `values` lie in native memory and last until the callback returns. */
export interface SeenInput {
  values: Float32Array;
  rows: ReadonlyMap<number, MatrixRows>;
}

export class InputWatcher implements Observer {
  readonly #byNode = new Map<string, DistinctInput>();
  readonly #byWeight = new Map<string, DistinctInput>();
  readonly #all: ReadonlySet<DistinctInput>;
  readonly #onInput: (input: DistinctInput, seen: SeenInput) => void;
  #left = new Set<DistinctInput>();

  constructor(inputs: Iterable<DistinctInput>, onInput: (input: DistinctInput, seen: SeenInput) => void) {
    this.#all = new Set(inputs);
    this.#onInput = onInput;
    for (const input of this.#all) {
      if (input.node === undefined) this.#byWeight.set(input.name, input);
      else this.#byNode.set(input.node, input);
    }
  }

  wants(tensor: TensorView): boolean {
    return this.#inputAt(tensor) !== undefined;
  }

  sees(tensor: TensorView): boolean {
    const input = this.#inputAt(tensor)!;
    if (!this.#left.has(input)) this.#left = new Set(this.#all); // another graph began
    const [source, rows] =
      input.node === undefined ? [tensor.source(1)!, rowsByMatrix(tensor)] : [tensor, plainRows(tensor)];
    this.#onInput(input, { values: source.floats(), rows });
    this.#left.delete(input);
    return this.#left.size > 0;
  }

  #inputAt(tensor: TensorView): DistinctInput | undefined {
    if (this.#byNode.size > 0) {
      const input = this.#byNode.get(tensor.name);
      if (input) return input;
    }
    return this.#byWeight.size > 0 && isProduct(tensor) ? this.#byWeight.get(weightName(tensor)) : undefined;
  }
}

/** Inputs of one batch, kept until they are taken; first in, first out. */
export class KeptInputs {
  readonly #queues = new Map<DistinctInput, SeenInput[]>();
  /** Memory of inputs that were taken, used again for the next batch. */
  readonly #spare = new Map<DistinctInput, Float32Array>();

  keep(input: DistinctInput, { values, rows }: SeenInput): void {
    const spare = this.#spare.get(input);
    this.#spare.delete(input);
    const copy = spare && spare.length >= values.length ? spare : new Float32Array(values.length);
    copy.set(values);
    const queue = this.#queues.get(input);
    if (queue) queue.push({ values: copy, rows });
    else this.#queues.set(input, [{ values: copy, rows }]);
  }

  /**
   * The oldest kept; valid until the next is kept.
   *
   * @throws {EngineError} when there is none: the two graphs differ
   */
  take(input: DistinctInput): SeenInput {
    const seen = this.#queues.get(input)?.shift();
    if (!seen) throw new EngineError(`Cannot pair what enters "${input.name}": only one of the models computes it`);
    this.#spare.set(input, seen.values);
    return seen;
  }
}

/**
 * The other model's rows of the same tokens.
 *
 * @returns offsets into the other's values, −1 where it has no row: its router sent that token elsewhere
 * @throws {EngineError} when the two models have different numbers of rows without a router's doing
 */
export function counterparts(input: DistinctInput, matrix: number, own: MatrixRows, other: SeenInput): Rows {
  const { values } = other;
  const rows = other.rows.get(matrix);
  if (!own.tokens) {
    if (rows?.offsets.length === own.offsets.length) return { values, offsets: rows.offsets };
    throw new EngineError(
      `Cannot pair what enters "${input.name}": ${own.offsets.length} rows in one model, ${rows?.offsets.length ?? 0} in the other`,
    );
  }
  const offsetOf = new Map<number, number>();
  rows?.tokens?.forEach((token, row) => offsetOf.set(token, rows.offsets[row]!));
  return { values, offsets: Int32Array.from(own.tokens, (token) => offsetOf.get(token) ?? -1) };
}
