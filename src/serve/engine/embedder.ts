// Texts as vectors: the mean of the last layer's states over a text's tokens, or what the model's metadata asks for, scaled to
// length 1. A context of its own, made when the first text comes.
import { PareError } from "../../errors.js";
import { LlamaContext } from "../../native/llama-context.js";
import type { LlamaModel } from "../../native/llama-model.js";

const TOKENS_MAX = 2048; // a text is computed in one piece, since states are pooled over it

/** Embeds one text after the other. */
export class Embedder implements Disposable {
  readonly #model: LlamaModel;
  readonly #threads: number | undefined;
  readonly #tokensMax: number;
  #context: LlamaContext | undefined;

  constructor(model: LlamaModel, { contextLength, threads }: { contextLength: number; threads: number | undefined }) {
    this.#model = model;
    this.#threads = threads;
    this.#tokensMax = Math.min(contextLength, TOKENS_MAX);
  }

  /**
   * A text's vector [width], of length 1.
   *
   * @throws {PareError} when the text is empty or too long
   */
  embed(tokens: readonly number[]): Float32Array {
    if (tokens.length === 0) throw new PareError("Cannot embed a text without tokens");
    if (tokens.length > this.#tokensMax) {
      throw new PareError(
        `The text has ${tokens.length} tokens, and a text of at most ${this.#tokensMax} can be embedded`,
      );
    }
    const context = (this.#context ??= this.#createContext());
    const batch = context.newBatch(tokens.length);
    tokens.forEach((token, position) => batch.add(token, position, 0, true));
    context.clearMemory();
    context.decode(batch);
    return normalized(context.embedding(0));
  }

  /** Most models of language say nothing of pooling; the mean is the common choice. */
  #createContext(): LlamaContext {
    const create = (pooling?: "mean"): LlamaContext =>
      LlamaContext.create(this.#model, {
        contextLength: this.#tokensMax,
        batchSize: this.#tokensMax,
        microBatchSize: this.#tokensMax,
        flashAttention: "off",
        embeddings: true,
        ...(pooling ? { pooling } : {}),
        ...(this.#threads === undefined ? {} : { threads: this.#threads }),
      });
    const context = create();
    if (context.hasPooling) return context;
    context[Symbol.dispose]();
    return create("mean");
  }

  [Symbol.dispose](): void {
    this.#context?.[Symbol.dispose]();
  }
}

function normalized(values: Float32Array): Float32Array {
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return length > 0 ? values.map((value) => value / length) : values;
}
