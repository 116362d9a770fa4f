// An output matrix of the tokens in use: those that some list or target of the text names. Where the matrix is not trained, a
// step needs no others: with a vocabulary of 32 000 and a text of a few thousand different tokens, the largest product of a
// small student becomes a fraction. Probabilities are then shares among these tokens; what a student puts on the others does
// not show while it learns, and validation looks at all of them.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { Operations } from "../../graph/operations.js";
import type { TensorStore } from "../../graph/store.js";
import type { Tensor } from "../../graph/tensor.js";
import { type LazyTensor, elementCount, rowCount } from "../../model/model.js";
import { dequantize, quantizeRows } from "../../native/ggml.js";
import type { TaughtSequence } from "./taught-text.js";

export class ListedHead {
  /** Ascending. */
  readonly tokens: Int32Array;
  /** [vocabulary]: the place of each token among these, −1 for others. */
  readonly places: Int32Array;
  #matrix: Tensor | undefined;

  private constructor(tokens: Int32Array, vocabulary: number) {
    this.tokens = tokens;
    this.places = new Int32Array(vocabulary).fill(-1);
    tokens.forEach((token, place) => (this.places[token] = place));
  }

  /** The head of a text. */
  static of(sequences: readonly TaughtSequence[], vocabulary: number): ListedHead {
    const isUsed = new Uint8Array(vocabulary);
    for (const { source, index, targets } of sequences) {
      for (const token of targets) isUsed[token] = 1;
      for (const token of source.opinions(index).ids) isUsed[token] = 1;
    }
    return new ListedHead(
      Int32Array.from(isUsed.keys()).filter((token) => isUsed[token]),
      vocabulary,
    );
  }

  /** @param type in which it enters products */
  declare(store: TensorStore, width: number, type: GgmlType): void {
    this.#matrix = store.declare("listed rows of the output", type, [width, this.tokens.length]);
  }

  /** @returns [tokens in use, rows] */
  logits(f: Operations, states: Tensor): Tensor {
    return f.mulMat(this.#matrix!, states);
  }

  /** Takes its rows from the whole matrix. */
  async fill(store: TensorStore, output: LazyTensor): Promise<void> {
    const { engine } = store.backend;
    const bytes = await output.readRows(0, rowCount(output.shape));
    const all = dequantize(engine, output.type, bytes, elementCount(output.shape));
    const width = output.shape[0]!;
    const rows = new Float32Array(width * this.tokens.length);
    this.tokens.forEach((token, place) => rows.set(all.subarray(token * width, (token + 1) * width), place * width));
    const { type } = this.#matrix!;
    store.write(this.#matrix!, type === "f32" ? rows : quantizeRows(engine, type, rows, width));
  }
}
