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
  /** Targets of a sequence that can count. */
  readonly targetsMax: number;
}

/**
 * Declares the inputs of batches of one size.
 *
 * @param size.windows of the model's layers
 * @param size.targetsMax targets of a sequence that count, at most: logits are computed for so many, by default for all
 */
export function declareBatch(
  store: TensorStore,
  size: Pick<BatchInputs, "sequences" | "length" | "vocabulary"> & {
    windows: readonly (number | undefined)[];
    targetsMax?: number | undefined;
  },
): BatchInputs {
  const { sequences, length, windows, targetsMax = length } = size;
  const [places, rows] = [sequences * length, sequences * targetsMax];
  const mask = (window: number | undefined): Tensor =>
    store.declare(`mask${window === undefined ? "" : ` of window ${window}`}`, "f32", [length, length, 1, sequences]);
  return {
    ...size,
    targetsMax,
    tokens: store.declare("tokens", "i32", [places]),
    positions: store.declare("positions", "i32", [places]),
    rows: targetsMax < length ? store.declare("rows", "i32", [rows]) : undefined,
    masks: new Map([...new Set(windows)].map((window) => [window, mask(window)])),
    targets: {
      indices: store.declare("target indices", "i32", [rows]),
      shares: store.declare("target shares", "f32", [1, rows]),
      weights: store.declare("target weights", "f32", [1, rows]),
    },
    seed: store.declare("seed", "f32", [1]),
  };
}

/**
 * Fills the inputs.
 *
 * @param weightTotal what the targets' weights are divided by: their sum over all batches of a step makes it their mean
 * @throws {RangeError} when a token is beyond the vocabulary, or more targets count than the batch was declared for
 */
export function fillBatch(
  store: TensorStore,
  inputs: BatchInputs,
  batch: readonly Sequence[],
  weightTotal: number,
): void {
  const { length, sequences, vocabulary, targetsMax } = inputs;
  if (batch.length !== sequences || batch.some(({ tokens }) => tokens.length !== length))
    throw new RangeError(`A batch of ${sequences} sequences of ${length} tokens is wanted`);
  const tokens = joined(batch.map((row) => row.tokens));
  const targets = joined(batch.map((row) => row.targets));
  for (const token of [...tokens, ...targets]) {
    if (!(token >= 0 && token < vocabulary))
      throw new RangeError(`Token ${token} is beyond the ${vocabulary} of the model`);
  }
  const rows = Int32Array.from(
    batch.flatMap((sequence, i) => countedPlaces(sequence, targetsMax).map((j) => i * length + j)),
  );
  const weights = batch.flatMap((sequence) => [...sequence.weights]);
  const shares = Float32Array.from(rows, (row) => weights[row]! / weightTotal);
  store.write(inputs.tokens, tokens);
  store.write(inputs.positions, joined(batch.map(positionsOf)));
  store.write(
    inputs.targets.indices,
    rows.map((place, row) => row * vocabulary + targets[place]!),
  );
  store.write(inputs.targets.shares, shares);
  store.write(inputs.targets.weights, shares);
  store.write(inputs.seed, Float32Array.of(1));
  if (inputs.rows) store.write(inputs.rows, rows);
  for (const [window, mask] of inputs.masks) store.write(mask, maskOf(batch, length, window));
}

/** Targets of a sequence that count. */
export function countedTargets({ weights }: Sequence): number {
  return weights.reduce((count, weight) => count + (weight > 0 ? 1 : 0), 0);
}

/** The places whose targets count, filled up with some that don't. */
function countedPlaces(sequence: Sequence, targetsMax: number): number[] {
  const places = Array.from(sequence.weights.keys());
  if (targetsMax === places.length) return places;
  const counted = places.filter((i) => sequence.weights[i]! > 0);
  if (counted.length > targetsMax)
    throw new RangeError(`A sequence has ${counted.length} targets that count, ${targetsMax} at most are wanted`);
  const others = places.filter((i) => !(sequence.weights[i]! > 0));
  return [...counted, ...others.slice(0, targetsMax - counted.length)];
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
