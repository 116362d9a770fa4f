// Several sequences side by side in one context, each in a lane of its own, computed so that no lane can tell whether the
// others are there.
//
// That takes care: ggml's kernels round differently for batches of different shapes (row-counts.ts). Hence:
//
//   - A prompt is prefilled in calls of its own: pages of 8 tokens, as many as there is time for, and then the rest, at least
//     8 tokens. From there on no kernel depends on the length, so it does not matter where a prompt is cut, nor whether its
//     first pages were computed for another prompt.
//   - A step has as many rows as were measured to give every row the same bits, filled up with idle rows.
//   - Each lane has a cache of its own, so that attention sees nothing of other lanes. Flash attention is off, or takes the same
//     kernel for every piece: on a CPU, ggml computes 64 tokens and more of a prompt in tiles and fewer one by one, so a piece is
//     then at least 64 tokens. One thing is left: on several threads, a lane that is stepped alone with more than 256 tokens in
//     it is split among them, and rounds as they add up.
//
// A mixture of experts applies these rules to each expert, which gets some of a call's tokens: there, the cut of a prompt can
// change its last bits.
import { EngineError } from "../errors.js";
import type { LlamaModel } from "../native/llama-model.js";
import { LlamaContext, type ContextMemory } from "../native/llama-context.js";
import type { TokenBatch } from "../native/token-batch.js";
import { bitsOf, measureRowCounts, type RowCounts } from "./row-counts.js";

/** Sequences at once on the CPU; speed levels off at 4 to 8. One below the number of rows at which ggml's panels begin. */
export const LANES_CPU = 7;
/** On a GPU more rows cost little; there, the panel rule does not exist. */
export const LANES_GPU = 32;
/** What a prompt is cut at, and shared in: kernels take up to 8 rows together, and the rows that are left over otherwise. */
export const PAGE_TOKENS = 8;
/** Logits rows in one call: a row of a large vocabulary is half a megabyte. */
export const CHUNK_OUTPUTS_MAX = 64;

const PIECE_TOKENS_MAX = 512; // of a prompt, in one call
const PIECE_TOKENS_MIN = 8; // from here on, no kernel depends on the length; only shorter prompts go below
const PIECE_TOKENS_MIN_FLASH = 64; // ggml's GGML_FA_TILE_Q
const PREFIX_TOKENS_MIN = 32; // a shorter prefix is not worth a copy
const CACHE_STEP = 256; // llama.cpp rounds each sequence's cache up to this
const GAP_MAX = 2; // lanes between two steps' lanes that are rather filled with idle rows than skipped with another call

export interface LanesOptions {
  /** Tokens that each lane can hold. */
  laneTokens: number;
  /** Lanes for the caller; by default as many as the backend computes well at once. */
  count?: number | undefined;
  threads?: number | undefined;
  /** Flash attention, on a CPU: a tenth less time for prompts. */
  flash?: boolean | undefined;
  /** Type of cached keys and values; f16 by default, as programs that serve models have it. */
  cacheType?: string | undefined;
  /**
   * Flash attention, and steps and pieces of any shape: faster, but then the last bits of an answer, and so now and then a word,
   * depend on what is computed beside it.
   */
  fast?: boolean | undefined;
  /** Also keep a lane for a prefix that prompts share. */
  keepsPrefix?: boolean;
}

/** One token for one lane. */
export interface LaneToken {
  readonly lane: number;
  readonly token: number;
}

/** A context with `count` lanes. Which token goes where is the caller's; positions and batch shapes are kept here. */
export class Lanes implements Disposable {
  readonly model: LlamaModel;
  readonly count: number;
  /** Tokens that each lane can hold. */
  readonly laneTokens: number;
  readonly rows: RowCounts;
  /** Tokens that a call computes at least of a prompt that has as many. */
  readonly pieceTokensMin: number;
  readonly #context: LlamaContext;
  readonly #batch: TokenBatch;
  /** Tokens in each lane. */
  readonly #lengths: number[];
  readonly #prefixLane: number | undefined;
  #prefix: readonly number[] = [];

  constructor(model: LlamaModel, options: LanesOptions) {
    const { laneTokens, count, threads, cacheType, fast = false, keepsPrefix = false } = options;
    const isFlash = options.flash === true && !fast && model.engine.backend === "cpu";
    const flashAttention = isFlash || fast ? "auto" : "off";
    this.model = model;
    this.pieceTokensMin = isFlash ? PIECE_TOKENS_MIN_FLASH : PIECE_TOKENS_MIN;
    this.count = count ?? defaultLanes(model);
    this.laneTokens = Math.ceil(laneTokens / CACHE_STEP) * CACHE_STEP;
    const rows = measureRowCounts(model, { count: this.count, threads, flashAttention });
    this.rows = fast ? { ...rows, min: 1, max: this.count } : rows;
    const lanes = Math.max(this.count, this.rows.min);
    this.#prefixLane = keepsPrefix ? lanes : undefined;
    this.#lengths = Array.from({ length: lanes + (keepsPrefix ? 1 : 0) }, () => 0);
    this.#context = LlamaContext.create(model, {
      contextLength: this.laneTokens * this.#lengths.length,
      batchSize: PIECE_TOKENS_MAX,
      microBatchSize: PIECE_TOKENS_MAX,
      sequencesMax: this.#lengths.length,
      outputsMax: Math.max(lanes, CHUNK_OUTPUTS_MAX),
      flashAttention,
      fullWindowCache: true, // lanes go back to shared prefixes
      unifiedCache: false,
      ...(cacheType === undefined ? {} : { typeK: cacheType, typeV: cacheType }),
      ...(threads === undefined ? {} : { threads }),
    });
    this.#batch = this.#context.newBatch();
  }

  /** Bytes that llama.cpp allocated for all lanes. */
  get memory(): ContextMemory {
    return this.#context.memory;
  }

  /** Tokens in a lane. */
  length(lane: number): number {
    return this.#lengths[lane]!;
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
    if (shared > 0) this.copy(this.#prefixLane!, lane);
    return this.#prefillRest(lane, tokens);
  }

  /**
   * Computes the next piece of a prompt whose beginning is in the lane already.
   *
   * @param most tokens at most, 64 or more; a little more where the rest would be too short for a call of its own
   * @returns logits after the prompt's last token [vocabulary], valid until the next call; undefined while there is more to do
   */
  prefillPiece(lane: number, tokens: readonly number[], most: number = PIECE_TOKENS_MAX): Float32Array | undefined {
    const from = this.length(lane);
    const until = from + pieceLength(tokens.length - from, Math.min(most, PIECE_TOKENS_MAX), this.pieceTokensMin);
    this.#batch.clear();
    for (let i = from; i < until; i++) this.#batch.add(tokens[i]!, i, lane, i === tokens.length - 1);
    this.#context.decode(this.#batch);
    this.#lengths[lane] = until;
    return until === tokens.length ? this.#context.logits(this.#batch.size - 1) : undefined;
  }

  /**
   * Appends a text that is known already to a lane, and shows what the model thought of each token of it.
   *
   * @param onLogits called with the index in `tokens` and the logits after that token
   */
  append(lane: number, tokens: readonly number[], onLogits: (index: number, logits: Float32Array) => void): void {
    for (let from = 0; from < tokens.length;) {
      const until = from + pieceLength(tokens.length - from, CHUNK_OUTPUTS_MAX);
      const start = this.length(lane);
      this.#batch.clear();
      for (let i = from; i < until; i++) this.#batch.add(tokens[i]!, start + i - from, lane, true);
      this.#context.decode(this.#batch);
      this.#lengths[lane] = start + until - from;
      for (let i = from; i < until; i++) onLogits(i, this.#context.logits(i - from));
      from = until;
    }
  }

  /**
   * Appends one token to each of some lanes, neighbours in one call.
   *
   * @param tokens in the order of their lanes, each lane once
   * @param onLogits called for each with its index in `tokens` and the logits after it, valid during the call
   */
  step(tokens: readonly LaneToken[], onLogits: (index: number, logits: Float32Array) => void): void {
    for (let from = 0; from < tokens.length;) {
      const until = this.#endOfRun(tokens, from);
      const indices = this.#decodeRun(tokens, from, until);
      for (let i = from; i < until; i++) onLogits(i, this.#context.logits(indices[i - from]!));
      from = until;
    }
  }

  /**
   * Appends several tokens to one lane in one call; at most as many as `rows` allow.
   *
   * @param onLogits called for each in order, with the logits after it; once it says no, the tokens behind are forgotten
   */
  stepSeveral(
    lane: number,
    tokens: readonly number[],
    onLogits: (index: number, logits: Float32Array) => boolean,
  ): void {
    const start = this.length(lane);
    this.#batch.clear();
    for (const [i, token] of tokens.entries()) this.#batch.add(token, start + i, lane, true);
    this.#context.decode(this.#batch);
    this.#lengths[lane] = start + tokens.length;
    let taken = 0;
    while (taken < tokens.length && onLogits(taken, this.#context.logits(taken))) taken++;
    this.truncate(lane, Math.min(start + tokens.length, start + taken + 1));
  }

  /** llama.cpp computes only neighbouring sequences together, so a call ends at a wide gap, or with the most rows. */
  #endOfRun(tokens: readonly LaneToken[], from: number): number {
    const first = tokens[from]!.lane;
    const gapMax = this.rows.canTruncate ? GAP_MAX : 0;
    let until = from + 1;
    while (until < tokens.length) {
      const { lane } = tokens[until]!;
      if (lane - tokens[until - 1]!.lane - 1 > gapMax || lane - first >= this.rows.max) break;
      until++;
    }
    return until;
  }

  /** One call for tokens [from, until) and idle rows in the gaps and behind. @returns each token's row */
  #decodeRun(tokens: readonly LaneToken[], from: number, until: number): number[] {
    const last = tokens[until - 1]!.lane;
    const first = Math.max(0, Math.min(tokens[from]!.lane, this.#steppableLanes - this.rows.min));
    const end = Math.max(last + 1, first + this.rows.min);
    const idle: number[] = [];
    const rows: number[] = [];
    this.#batch.clear();
    for (let lane = first, next = from; lane < end; lane++) {
      const isIdle = next >= until || tokens[next]!.lane !== lane;
      if (isIdle) idle.push(lane);
      else rows.push(this.#batch.size);
      if (isIdle && this.length(lane) >= this.laneTokens) this.clear(lane); // full: of no use to an answer
      this.#batch.add(isIdle ? 0 : tokens[next++]!.token, this.length(lane), lane, true);
    }
    this.#context.decode(this.#batch);
    for (const lane of idle) this.#context.removeSequence(lane, this.length(lane), -1);
    for (let i = from; i < until; i++) this.#lengths[tokens[i]!.lane]!++;
    return rows;
  }

  get #steppableLanes(): number {
    return this.#prefixLane ?? this.#lengths.length;
  }

  clear(lane: number): void {
    if (!this.#context.removeSequence(lane)) throw new EngineError(`Cannot clear sequence ${lane}`);
    this.#lengths[lane] = 0;
  }

  /**
   * Keeps only the first tokens of a lane.
   *
   * @returns tokens kept: none where the model can't forget a part
   */
  truncate(lane: number, length: number): number {
    if (length >= this.length(lane)) return this.length(lane);
    if (length > 0 && this.#context.removeSequence(lane, length, -1)) this.#lengths[lane] = length;
    else this.clear(lane);
    return this.length(lane);
  }

  /** Makes lane `to` what lane `from` is. */
  copy(from: number, to: number): void {
    this.clear(to);
    this.#context.copySequence(from, to);
    this.#lengths[to] = this.length(from);
  }

  /**
   * Computes the tokens that all prompts begin with only once, if prompts then keep every bit of their logits.
   *
   * @returns tokens shared; 0 where it would change a bit, or is not worth it
   */
  sharePrefix(prompts: readonly (readonly number[])[]): number {
    const prefix = commonPrefix(prompts);
    const first = prompts[0];
    if (prompts.length < 2 || !first || prefix.length < PREFIX_TOKENS_MIN || this.hasExperts) return 0;
    const whole = bitsOf(this.prefill(0, first));
    this.#prefix = prefix;
    this.clear(this.#prefixLane!);
    this.#prefillRest(this.#prefixLane!, prefix);
    if (!bitsOf(this.prefill(0, first)).equals(whole)) this.#prefix = [];
    return this.#prefix.length;
  }

  /** Which kernel an expert uses depends on how many of a call's tokens it is given, so pieces of prompts are not exchangeable. */
  get hasExperts(): boolean {
    const architecture = this.model.metadata("general.architecture") ?? "";
    return Number(this.model.metadata(`${architecture}.expert_count`) ?? 0) > 0;
  }

  #prefillRest(lane: number, tokens: readonly number[]): Float32Array {
    for (;;) {
      const logits = this.prefillPiece(lane, tokens);
      if (logits) return logits;
    }
  }

  [Symbol.dispose](): void {
    this.#context[Symbol.dispose]();
  }
}

function defaultLanes(model: LlamaModel): number {
  return model.engine.backend === "cpu" ? LANES_CPU : LANES_GPU;
}

/**
 * Tokens of the next call for a prompt of which `left` are to be computed: all that is left if it may be, else whole pages,
 * so many that `least` tokens or more remain.
 *
 * @param most 64 or more
 */
export function pieceLength(left: number, most: number = PIECE_TOKENS_MAX, least: number = PIECE_TOKENS_MIN): number {
  if (left <= most) return left;
  const pages = Math.floor(Math.min(most, left - least) / PAGE_TOKENS) * PAGE_TOKENS;
  return pages >= least ? pages : left;
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
