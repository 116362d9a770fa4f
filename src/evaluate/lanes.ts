// Several sequences side by side in one context, each in a lane of its own, computed so that no lane can tell whether the
// others are there.
//
// That takes care. ggml picks its kernels by the shape of a batch, and kernels round differently. Measured on x86, against
// the same row in another batch, weights not repacked:
//
//   f32, f16, bf16, iq4_nl           1 row differs from 2 and more (dot products against tiles), by up to 0.2 in a logit
//   q8_0, q4_0, q4_1, q2_K … q6_K    every number of rows gives the same bits
//   iq4_xs and other grid types      up to 7 rows differ from 8 and more (decoded in panels)
//   attention                        1 query of a sequence differs from 2 and more; other sequences don't matter as long as
//                                    each has its own cache and flash attention is off
//
// A mixture of experts applies the panel rule to each expert, so that the other sequences' tokens would choose the kernel.
// Hence: a prompt is always prefilled in calls of its own, in pieces that depend on its length only; steps have at
// most 7 rows on the CPU; and no fewer than the model at hand was measured to need (`rowsMin`), filled up with idle rows.
import { EngineError } from "../errors.js";
import type { LlamaModel } from "../native/llama-model.js";
import { LlamaContext } from "../native/llama-context.js";
import type { TokenBatch } from "../native/token-batch.js";

/** Sequences at once on the CPU; speed levels off at 4 to 8. One below the number of rows at which ggml's panels begin. */
export const LANES_CPU = 7;
/** On a GPU more rows cost little; there, the panel rule does not exist. */
export const LANES_GPU = 32;

const PIECE_TOKENS_MAX = 512; // of a prompt, in one call
const PIECE_TOKENS_MIN = 8; // from here on, no kernel depends on the length; only shorter prompts go below
const PREFIX_TOKENS_MIN = 32; // a shorter prefix is not worth a copy
const CACHE_STEP = 256; // llama.cpp rounds each sequence's cache up to this

export interface LanesOptions {
  /** Tokens that each lane can hold. */
  laneTokens: number;
  threads?: number | undefined;
  /** Also keep a lane for a prefix that prompts share. */
  keepsPrefix?: boolean;
}

/** A context with `count` lanes. Positions and tokens are the caller's; memory and batch shapes are kept here. */
export class Lanes implements Disposable {
  readonly model: LlamaModel;
  readonly count: number;
  /** Tokens that each lane can hold. */
  readonly laneTokens: number;
  readonly #context: LlamaContext;
  readonly #batch: TokenBatch;
  /** The fewest rows from which on a row's logits are the same bits in every batch. */
  readonly rowsMin: number;
  #prefix: readonly number[] = [];

  constructor(model: LlamaModel, { laneTokens, threads, keepsPrefix = false }: LanesOptions) {
    this.model = model;
    this.count = model.engine.backend === "cpu" ? LANES_CPU : LANES_GPU;
    this.laneTokens = Math.ceil(laneTokens / CACHE_STEP) * CACHE_STEP;
    const sequencesMax = this.count + (keepsPrefix ? 1 : 0);
    this.#context = LlamaContext.create(model, {
      contextLength: this.laneTokens * sequencesMax,
      batchSize: PIECE_TOKENS_MAX,
      microBatchSize: PIECE_TOKENS_MAX,
      sequencesMax,
      outputsMax: Math.max(this.count, CHUNK_OUTPUTS_MAX),
      flashAttention: "off",
      fullWindowCache: true, // lanes go back to the shared prefix
      unifiedCache: false,
      ...(threads === undefined ? {} : { threads }),
    });
    this.#batch = this.#context.newBatch();
    this.rowsMin = this.#measureRowsMin();
  }

  /**
   * Fills a lane with a prompt; what was in it is forgotten.
   *
   * @returns logits after its last token [vocabulary], valid until the next call
   */
  prefill(lane: number, tokens: readonly number[]): Float32Array {
    if (tokens.length === 0) throw new RangeError("Cannot prefill a prompt without tokens");
    this.clear(lane);
    const shared = this.#prefix.length > 0 && startsWith(tokens, this.#prefix) ? this.#prefix.length : 0;
    if (shared > 0) this.#context.copySequence(this.#prefixLane, lane);
    return this.#decodePieces(lane, tokens, shared);
  }

  /**
   * Appends a text that is known already to a lane, and shows what the model thought of each token of it.
   *
   * @param onLogits called with the index in `tokens` and the logits after that token
   */
  append(
    lane: number,
    tokens: readonly number[],
    start: number,
    onLogits: (index: number, logits: Float32Array) => void,
  ): void {
    for (let from = 0; from < tokens.length; from += CHUNK_OUTPUTS_MAX) {
      const until = Math.min(tokens.length, from + CHUNK_OUTPUTS_MAX);
      this.#batch.clear();
      for (let i = from; i < until; i++) this.#batch.add(tokens[i]!, start + i, lane, true);
      this.#context.decode(this.#batch);
      for (let i = from; i < until; i++) onLogits(i, this.#context.logits(i - from));
    }
  }

  /**
   * Appends one token to each of the lanes 0 … tokens.length - 1, in one call.
   *
   * @param positions of those tokens
   */
  step(tokens: readonly number[], positions: readonly number[]): void {
    this.#decodeRows(tokens, positions, Math.max(tokens.length, this.rowsMin));
  }

  /** Beyond the tokens, rows are idle: a token of no meaning at the start of an empty lane. */
  #decodeRows(tokens: readonly number[], positions: readonly number[], rows: number): void {
    this.#batch.clear();
    for (let lane = 0; lane < rows; lane++) {
      const isIdle = lane >= tokens.length;
      if (isIdle) this.clear(lane);
      this.#batch.add(isIdle ? 0 : tokens[lane]!, isIdle ? 0 : positions[lane]!, lane, true);
    }
    this.#context.decode(this.#batch);
  }

  /** Logits of a lane after `step` [vocabulary], valid until the next call. */
  logits(lane: number): Float32Array {
    return this.#context.logits(lane);
  }

  clear(lane: number): void {
    if (!this.#context.removeSequence(lane)) throw new EngineError(`Cannot clear sequence ${lane}`);
  }

  /** Makes lane `to` what lane `from` is. */
  copy(from: number, to: number): void {
    this.clear(to);
    this.#context.copySequence(from, to);
  }

  /** Compares each lane's row in ever smaller batches with its row in the largest. */
  #measureRowsMin(): number {
    const tokens = Array.from({ length: this.count }, (_, lane) => (lane * 7919 + 5) % this.model.vocabularySize);
    const starts = tokens.map(() => 0);
    const rowsOf = (count: number): Buffer[] => {
      for (let lane = 0; lane < count; lane++) this.clear(lane);
      this.#decodeRows(tokens.slice(0, count), starts, count);
      return Array.from({ length: count }, (_, lane) => bitsOf(this.logits(lane)));
    };
    const largest = rowsOf(this.count);
    let count = this.count;
    while (count > 1 && rowsOf(count - 1).every((row, lane) => row.equals(largest[lane]!))) count--;
    for (let lane = 0; lane < this.count; lane++) this.clear(lane);
    return count;
  }

  /**
   * Computes the tokens that all prompts begin with only once, if prompts then keep every bit of their logits.
   *
   * @returns tokens shared; 0 where it would change a bit, or is not worth it
   */
  sharePrefix(prompts: readonly (readonly number[])[]): number {
    const prefix = commonPrefix(prompts);
    const first = prompts[0];
    if (prompts.length < 2 || !first || prefix.length < PREFIX_TOKENS_MIN || this.#hasExperts) return 0;
    const whole = bitsOf(this.prefill(0, first));
    this.#prefix = prefix;
    this.#decodePieces(this.#prefixLane, prefix, 0);
    if (!bitsOf(this.prefill(0, first)).equals(whole)) this.#prefix = [];
    return this.#prefix.length;
  }

  get #prefixLane(): number {
    return this.count;
  }

  /** Which kernel an expert uses depends on how many of a call's tokens it is given, so pieces of prompts are not exchangeable. */
  get #hasExperts(): boolean {
    const architecture = this.model.metadata("general.architecture") ?? "";
    return Number(this.model.metadata(`${architecture}.expert_count`) ?? 0) > 0;
  }

  #decodePieces(lane: number, tokens: readonly number[], from: number): Float32Array {
    let at = from;
    for (const length of promptPieces(tokens.length - from)) {
      this.#batch.clear();
      for (let i = at; i < at + length; i++) this.#batch.add(tokens[i]!, i, lane, i === tokens.length - 1);
      this.#context.decode(this.#batch);
      at += length;
    }
    return this.#context.logits(this.#batch.size - 1);
  }

  [Symbol.dispose](): void {
    this.#context[Symbol.dispose]();
  }
}

const CHUNK_OUTPUTS_MAX = 32; // logits rows of `append` in one call: a row of a large vocabulary is half a megabyte

/**
 * Lengths of the calls in which a prompt is computed: as long as they may be, none below 8 tokens unless the prompt is.
 * They depend on the prompt's length only.
 */
export function promptPieces(length: number): number[] {
  const pieces: number[] = [];
  let left = length;
  while (left > PIECE_TOKENS_MAX) {
    const piece = Math.min(PIECE_TOKENS_MAX, left - PIECE_TOKENS_MIN);
    pieces.push(piece);
    left -= piece;
  }
  if (left > 0) pieces.push(left);
  return pieces;
}

/** What all token sequences begin with, short enough that at least 8 tokens of each are left. */
export function commonPrefix(prompts: readonly (readonly number[])[]): readonly number[] {
  const first = prompts[0] ?? [];
  let length = Math.min(...prompts.map((tokens) => tokens.length - PIECE_TOKENS_MIN));
  for (const tokens of prompts) {
    let same = 0;
    while (same < length && tokens[same] === first[same]) same++;
    length = Math.min(length, same);
  }
  return first.slice(0, Math.max(0, length));
}

function startsWith(tokens: readonly number[], prefix: readonly number[]): boolean {
  return tokens.length >= prefix.length + PIECE_TOKENS_MIN && prefix.every((token, i) => tokens[i] === token);
}

/** A copy of logits, to compare bit for bit: NaN equals itself, and -0 does not equal 0. */
function bitsOf(logits: Float32Array): Buffer {
  return Buffer.from(Buffer.from(logits.buffer, logits.byteOffset, logits.byteLength));
}
