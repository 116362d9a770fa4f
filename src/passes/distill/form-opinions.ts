// From a teacher's logits to what is kept of them: the likeliest tokens of each place and the mass of all others.
import { RowSoftmax } from "../../evaluate/row-softmax.js";
import type { LlamaContext } from "../../native/llama-context.js";
import { toFloat16 } from "../../support/float16.js";
import type { Opinions } from "./taught-text.js";

/** Room for the opinions on a sequence. Places that nobody asks about hold the first tokens with nothing, and a rest of 1. */
export function emptyOpinions(length: number, top: number, width = 0): Opinions {
  return {
    ids: Uint32Array.from({ length: length * top }, (_, i) => i % top),
    probabilities: new Float32Array(length * top),
    rests: new Float32Array(length).fill(1),
    nats: new Float32Array(length),
    states: new Uint16Array(length * width),
  };
}

/**
 * Keeps the likeliest of one row as the opinion at a place.
 *
 * @param probabilities [vocabulary]
 */
export function keepLikeliest(
  probabilities: Float32Array,
  { ids, probabilities: kept, rests }: Opinions,
  place: number,
): void {
  const top = ids.length / rests.length;
  const start = place * top;
  const end = start + top;
  let last = start; // one behind the lowest that is kept
  let lowest = -1;
  for (let token = 0; token < probabilities.length; token++) {
    const probability = probabilities[token]!;
    if (probability <= lowest) continue; // nearly always, so the insertion below is rare
    let at = last < end ? last++ : end - 1;
    while (at > start && kept[at - 1]! < probability) {
      kept[at] = kept[at - 1]!;
      ids[at] = ids[at - 1]!;
      at--;
    }
    kept[at] = probability;
    ids[at] = token;
    if (last === end) lowest = kept[end - 1]!;
  }
  let sum = 0;
  for (let i = start; i < end; i++) sum += kept[i]!;
  rests[place] = Math.max(0, 1 - sum);
}

/** Keeps a hidden state [width] as part of the opinion at a place. */
export function keepState(state: Float32Array, { states }: Opinions, place: number): void {
  state.forEach((value, i) => (states![place * state.length + i] = toFloat16(value)));
}

/** Probabilities of the rows that a context has just computed. */
export class RowReader implements Disposable {
  readonly #context: LlamaContext;
  readonly #softmax: RowSoftmax;

  constructor(context: LlamaContext) {
    this.#context = context;
    const { engine, vocabularySize } = context.model;
    this.#softmax = RowSoftmax.create(engine, vocabularySize, context.threads);
  }

  /**
   * @param rows of logits that the last batch asked for
   * @param onRow given softmax(logits / temperature) [vocabulary], valid during the call
   */
  read(rows: number, temperature: number, onRow: (row: number, probabilities: Float32Array) => void): void {
    const { rowsMax, columns } = this.#softmax;
    const { engine } = this.#context.model;
    const address = engine.llama.llama_get_logits(this.#context.pointer)!;
    for (let from = 0; from < rows; from += rowsMax) {
      const count = Math.min(rowsMax, rows - from);
      const block = this.#softmax.compute(address, from, count, 1 / temperature); // [vocabulary, count]
      for (let row = 0; row < count; row++) onRow(from + row, block.subarray(row * columns, (row + 1) * columns));
    }
  }

  [Symbol.dispose](): void {
    this.#softmax[Symbol.dispose]();
  }
}
