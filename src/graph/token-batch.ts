// The inputs of a language model's graph: tokens, their places, who sees whom, and what is to be predicted. Several
// documents can share a sequence: each token sees only its own document, and places are counted from its start.
import type { SparseTargets } from "./cross-entropy.js";
import type { TokenBatch } from "./llama.js";
import type { TensorStore } from "./store.js";
import type { Tensor } from "./tensor.js";

/** One sequence of T tokens. All arrays have its length. */
export interface Sequence {
  readonly tokens: Int32Array;
  /** The number of the document that each token is of; documents are contiguous. */
  readonly documents: Int32Array;
  /** The token that follows each. */
  readonly targets: Int32Array;
  /** How much each target counts, 0 where it does not: the end of a document, padding, a prompt. */
  readonly weights: Float32Array;
}

/** The leaves of a batch, in a store. */
export interface BatchInputs extends TokenBatch {
  readonly targets: SparseTargets;
  /** f32 [1], holds 1: the gradient that `backpropagate` starts from. */
  readonly seed: Tensor;
  readonly length: number;
  readonly sequences: number;
  readonly vocabulary: number;
}

/**
 * Declares the inputs of batches of one size.
 *
 * @param size.windows of the model's layers
 * @param size.targetsMax targets that count in a batch at most: logits are computed for so many, by default for all
 */
export function declareBatch(
  store: TensorStore,
  size: {
    sequences: number;
    length: number;
    vocabulary: number;
    windows: readonly (number | undefined)[];
    targetsMax?: number | undefined;
  },
): BatchInputs {
  const { sequences, length, windows, targetsMax = Infinity } = size;
  const rows = sequences * length;
  const isSparse = targetsMax < rows;
  const targets = isSparse ? targetsMax : rows;
  const mask = (window: number | undefined): Tensor =>
    store.declare(`mask${window === undefined ? "" : ` of window ${window}`}`, "f32", [length, length, 1, sequences]);
  return {
    ...size,
    tokens: store.declare("tokens", "i32", [rows]),
    positions: store.declare("positions", "i32", [rows]),
    masks: new Map([...new Set(windows)].map((window) => [window, mask(window)])),
    rows: isSparse ? store.declare("target rows", "i32", [targets]) : undefined,
    targets: {
      indices: store.declare("target indices", "i32", [targets]),
      shares: store.declare("target shares", "f32", [1, targets]),
      weights: store.declare("target weights", "f32", [1, targets]),
    },
    seed: store.declare("seed", "f32", [1]),
  };
}

/**
 * Fills the inputs.
 *
 * @param weightTotal what the targets' weights are divided by: their sum over all batches of a step makes it their mean
 * @throws {RangeError} when a token is beyond the vocabulary, or more targets count than were declared
 */
export function fillBatch(
  store: TensorStore,
  inputs: BatchInputs,
  batch: readonly Sequence[],
  weightTotal: number,
): void {
  const { length, sequences, vocabulary } = inputs;
  if (batch.length !== sequences || batch.some(({ tokens }) => tokens.length !== length))
    throw new RangeError(`A batch of ${sequences} sequences of ${length} tokens is wanted`);
  const tokens = joined(batch.map((row) => row.tokens));
  const targets = joined(batch.map((row) => row.targets));
  for (const token of [...tokens, ...targets]) {
    if (!(token >= 0 && token < vocabulary))
      throw new RangeError(`Token ${token} is beyond the ${vocabulary} of the model`);
  }
  const weights = batch.flatMap((row) => [...row.weights]);
  const rows = rowsOf(inputs, weights);
  const shares = Float32Array.from(rows, (row) => weights[row]! / weightTotal);
  store.write(inputs.tokens, tokens);
  store.write(inputs.positions, joined(batch.map(positionsOf)));
  if (inputs.rows) store.write(inputs.rows, rows);
  store.write(
    inputs.targets.indices,
    rows.map((row, i) => i * vocabulary + targets[row]!),
  );
  store.write(inputs.targets.shares, shares);
  store.write(inputs.targets.weights, shares);
  store.write(inputs.seed, Float32Array.of(1));
  for (const [window, mask] of inputs.masks) store.write(mask, maskOf(batch, length, window));
}

/** The tokens whose logits are computed: all, or those that count, filled up with others that don't. */
function rowsOf({ rows, targets }: BatchInputs, weights: readonly number[]): Int32Array {
  if (!rows) return Int32Array.from(weights.keys());
  const count = targets.indices.shape[0];
  const counting = [...weights.keys()].filter((row) => weights[row] !== 0);
  if (counting.length > count)
    throw new RangeError(`A batch of ${count} targets at most is wanted, ${counting.length} count`);
  const others = [...weights.keys()].filter((row) => weights[row] === 0);
  return Int32Array.from([...counting, ...others.slice(0, count - counting.length)]);
}

/** Places in the document. */
function positionsOf({ documents }: Sequence): Int32Array {
  let start = 0;
  return documents.map((document, i) => {
    if (document !== documents[i - 1]) start = i;
    return i - start;
  });
}

/** [T, T, 1, B]: 0 where a key is of the query's document, not after it, and within the window; −∞ elsewhere. */
function maskOf(batch: readonly Sequence[], length: number, window = Infinity): Float32Array {
  const mask = new Float32Array(length * length * batch.length).fill(-Infinity);
  batch.forEach(({ documents }, sequence) => {
    for (let query = 0; query < length; query++) {
      const row = (sequence * length + query) * length;
      for (let key = query; key >= 0 && query - key < window && documents[key] === documents[query]; key--)
        mask[row + key] = 0;
    }
  });
  return mask;
}

function joined(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(parts.flatMap((part) => [...part]));
}
