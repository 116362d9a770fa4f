// How much each block of layers changes the stream that runs through it: the mean cosine between a token's hidden state
// before and after, and one minus it, the block influence of ShortGPT (Men et al., 2024, arXiv:2403.03853, equation 1):
//   BI_i = 1 − E_t [ x_{i,t} · x_{i+1,t} / (‖x_{i,t}‖ ‖x_{i+1,t}‖) ]
import type { TensorView } from "../native/observe.js";

export interface LayerSimilarity {
  layer: number;
  /** Mean cosine between the block's input and output, −1…1. */
  cosine: number;
  /** 1 − cosine: what the block contributes. Small ones can go first. */
  blockInfluence: number;
  tokens: number;
}

/** llama.cpp's names for what enters block 0; the last of them in a graph does. */
const STREAM_STARTS = new Set(["embd", "inp_embd", "inp_scaled", "inp_norm", "inpL"]);
const LAYER_OUTPUT = /^l_out-(\d+)$/;

export class SimilarityCollector {
  readonly #cosines = new Map<number, { sum: number; tokens: number }>();
  #previous = new Float32Array(0);
  #previousSize = 0;
  /** The block whose output `#previous` holds; −1 for the embedding. */
  #previousLayer = NaN;

  wants(tensor: TensorView): boolean {
    const { name } = tensor;
    return (STREAM_STARTS.has(name) || LAYER_OUTPUT.test(name)) && tensor.type === "f32";
  }

  sees(tensor: TensorView): void {
    const layer = Number(LAYER_OUTPUT.exec(tensor.name)?.[1] ?? -1);
    const columns = tensor.shape[0];
    const values = tensor.floats();
    if (this.#previousLayer === layer - 1 && this.#previousSize === values.length)
      this.#compare(layer, values, columns);
    if (this.#previous.length < values.length) this.#previous = new Float32Array(values.length);
    this.#previous.set(values); // a later node may write over the tensor
    this.#previousSize = values.length;
    this.#previousLayer = layer;
  }

  /** Blocks in order. A block whose input could not be recognised is absent. */
  result(): LayerSimilarity[] {
    return [...this.#cosines]
      .sort(([a], [b]) => a - b)
      .map(([layer, { sum, tokens }]) => ({ layer, cosine: sum / tokens, blockInfluence: 1 - sum / tokens, tokens }));
  }

  #compare(layer: number, values: Float32Array, columns: number): void {
    const total = this.#cosines.get(layer) ?? { sum: 0, tokens: 0 };
    this.#cosines.set(layer, total);
    for (let start = 0; start < values.length; start += columns) {
      total.sum += cosine(this.#previous, values, start, columns);
      total.tokens++;
    }
  }
}

/** Cosine between two rows; 0 where one of them is all zeros. */
function cosine(before: Float32Array, after: Float32Array, start: number, columns: number): number {
  let product = 0;
  let beforeSquared = 0;
  let afterSquared = 0;
  for (let i = start; i < start + columns; i++) {
    const x = before[i]!;
    const y = after[i]!;
    product += x * y;
    beforeSquared += x * x;
    afterSquared += y * y;
  }
  const norms = Math.sqrt(beforeSquared * afterSquared);
  return norms > 0 ? product / norms : 0;
}
