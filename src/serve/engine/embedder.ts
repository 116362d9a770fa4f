// Texts as vectors: the mean of the last layer's states over a text's tokens, or what the model's metadata asks for, scaled to
// length 1. A context of its own, made when the first text comes.
//
// A model of language looks only at what came before: its states can be computed in pieces and added up here. Where the metadata
// asks for a way of pooling, llama.cpp pools, over one call; and a model that looks ahead has to see all. There a text is one piece.
import { PareError } from "../../errors.js";
import { pieceLength } from "../../evaluate/lanes.js";
import { LlamaContext } from "../../native/llama-context.js";
import type { LlamaModel } from "../../native/llama-model.js";

const TOKENS_MAX = 2048; // the memory of one call

/** Embeds one text after the other, each in pieces where the model allows it. */
export class Embedder implements Disposable {
  readonly #model: LlamaModel;
  readonly #threads: number | undefined;
  readonly #tokensMax: number;
  #context: LlamaContext | undefined;
  #tokens: readonly number[] = [];
  #computed = 0;
  /** States of the tokens that are computed, added up [width]. */
  #sum = new Float64Array();

  constructor(model: LlamaModel, { contextLength, threads }: { contextLength: number; threads: number | undefined }) {
    this.#model = model;
    this.#threads = threads;
    this.#tokensMax = Math.min(contextLength, TOKENS_MAX);
  }

  /** @throws {PareError} when the text is empty or too long */
  requireEmbeddable(tokens: readonly number[]): void {
    if (tokens.length === 0) throw new PareError("Cannot embed a text without tokens");
    if (tokens.length <= this.#tokensMax) return;
    throw new PareError(
      `The text has ${tokens.length} tokens, and a text of at most ${this.#tokensMax} can be embedded`,
    );
  }

  /** Turns to another text; what was computed of the last one is forgotten. */
  begin(tokens: readonly number[]): void {
    this.#context ??= this.#createContext();
    this.#context.clearMemory();
    this.#tokens = tokens;
    this.#computed = 0;
    this.#sum = new Float64Array(this.#model.embeddingLength);
  }

  /**
   * Computes the next piece of the text.
   *
   * @param most tokens at most, 64 or more; all that there are where the model needs a text whole
   * @returns the text's vector [width], of length 1; undefined while there is more to do
   */
  piece(most: number): Float32Array | undefined {
    const context = this.#context!;
    const [from, length] = [this.#computed, this.#tokens.length];
    const isWhole = context.hasPooling || this.#looksAhead;
    const until = isWhole ? length : from + pieceLength(length - from, most);
    const batch = context.newBatch(until - from);
    for (let i = from; i < until; i++) batch.add(this.#tokens[i]!, i, 0, true);
    context.decode(batch);
    this.#computed = until;
    if (context.hasPooling) return normalized(context.embedding(0));
    for (let i = 0; i < until - from; i++) context.state(i).forEach((value, at) => (this.#sum[at]! += value));
    return until === length ? normalized(this.#sum) : undefined;
  }

  get #looksAhead(): boolean {
    const architecture = this.#model.metadata("general.architecture") ?? "";
    return this.#model.metadata(`${architecture}.attention.causal`) === "false";
  }

  #createContext(): LlamaContext {
    return LlamaContext.create(this.#model, {
      contextLength: this.#tokensMax,
      batchSize: this.#tokensMax,
      microBatchSize: this.#tokensMax,
      flashAttention: "off",
      embeddings: true,
      ...(this.#threads === undefined ? {} : { threads: this.#threads }),
    });
  }

  [Symbol.dispose](): void {
    this.#context?.[Symbol.dispose]();
  }
}

/** Most models of language say nothing of pooling; the mean is the common choice, and a sum has its direction. */
function normalized(values: Float32Array | Float64Array): Float32Array {
  const length = Math.sqrt((values as Float64Array).reduce((sum, value) => sum + value * value, 0));
  return Float32Array.from(values, (value) => (length > 0 ? value / length : value));
}
