// A context that computes groups of windows and hands the logits after every scored token to a scorer; made once, used for
// many groups. Same windows as llama-perplexity: BOS in place of a window's first token where the vocabulary adds it, the
// second half scored unless more is asked for. Short windows are computed several at once, each as a sequence of its own. A group never makes
// llama.cpp cut a window into other micro batches than it would alone: its attention takes fewer than 64 queries through
// another kernel, whose rounding, amplified by 8-bit activations, moves a window's likelihood by 0.1 %.
import { EngineError } from "../errors.js";
import { type ContextOptions, LlamaContext } from "../native/llama-context.js";
import type { LlamaModel } from "../native/llama-model.js";
import type { TokenBatch } from "../native/token-batch.js";
import { middleOf, scoredPerWindow } from "./baseline-record.js";
import { RowSoftmax } from "./row-softmax.js";

/** Tokens that llama.cpp computes at once, its own default; short windows share them. */
const MICRO_BATCH_TOKENS = 512;

/** Tokens in one decode call for windows that are longer. */
const BATCH_TOKENS = 2048;

/** Logits of one decode call: what a vocabulary of 128 000 needs for 512 tokens. */
const LOGITS_BYTES_MAX = 256 << 20;

export interface WindowRunnerOptions extends Pick<ContextOptions, "typeK" | "typeV" | "flashAttention"> {
  /** Tokens per window. */
  contextLength: number;
  /** Position of a window's first scored token; its middle by default. */
  firstScored?: number;
  /** Most windows that will be asked for: no more than these are computed side by side. */
  windows: number;
  threads?: number | undefined;
}

/** One of the windows that are computed together, each in its slot. */
export interface GroupWindow {
  /** Its number in the text. */
  window: number;
  tokens: Int32Array;
  /** Where its first scored token stands in the measurements. */
  offset: number;
}

export interface RowScorer {
  /**
   * Takes one row, in ascending order of `index` within a slot.
   *
   * @param index of the scored token within its window
   * @param logits [vocabulary], valid during the call
   * @param probabilities softmax of `logits`
   * @param token the text's next token
   * @returns -ln p(token), NaN when the logits are not numbers
   */
  score(slot: number, index: number, logits: Float32Array, probabilities: Float32Array, token: number): number;
}

/** Where the time went. */
export interface TextSeconds {
  forward: number;
  scoring: number;
}

export class WindowRunner implements Disposable {
  readonly contextLength: number;
  /** Windows of one group, at most. */
  readonly slots: number;
  readonly seconds: TextSeconds = { forward: 0, scoring: 0 };
  readonly #firstScored: number;
  readonly #pieceLength: number;
  readonly #context: LlamaContext;
  readonly #softmax: RowSoftmax;
  readonly #batch: TokenBatch;

  /** @throws {EngineError} when llama.cpp can't make the context, mostly for want of memory */
  constructor(model: LlamaModel, { contextLength, windows, firstScored, ...options }: WindowRunnerOptions) {
    this.#firstScored = firstScored ?? middleOf(contextLength);
    const scored = scoredPerWindow(contextLength, this.#firstScored);
    const { slots, pieceLength } = chooseShape(model.vocabularySize, contextLength, windows, scored);
    this.contextLength = contextLength;
    this.slots = slots;
    this.#pieceLength = pieceLength;
    this.#context = LlamaContext.create(model, {
      ...options,
      contextLength: contextLength * slots,
      batchSize: pieceLength * slots,
      microBatchSize: MICRO_BATCH_TOKENS,
      sequencesMax: slots,
    });
    try {
      this.#softmax = RowSoftmax.create(model.engine, model.vocabularySize, this.#context.threads);
    } catch (error) {
      this.#context[Symbol.dispose]();
      throw error;
    }
    this.#batch = this.#context.newBatch();
  }

  /** The windows at hand cut into groups, with their tokens. */
  *groups(tokens: Int32Array, windows: readonly number[]): Generator<GroupWindow[]> {
    const { contextLength, slots } = this;
    const scored = scoredPerWindow(contextLength, this.#firstScored);
    for (let first = 0; first < windows.length; first += slots) {
      yield windows.slice(first, first + slots).map((window, slot) => ({
        window,
        tokens: tokens.slice(window * contextLength, (window + 1) * contextLength),
        offset: (first + slot) * scored,
      }));
    }
  }

  /**
   * Computes one group.
   *
   * @param signal looked at between decode calls
   * @throws {EngineError} when the model gives logits that are no numbers; the message names the window
   */
  run(group: readonly GroupWindow[], scorer: RowScorer, signal?: AbortSignal): void {
    this.#context.clearMemory();
    for (let start = 0; start < this.contextLength; start += this.#pieceLength) {
      signal?.throwIfAborted();
      const end = Math.min(start + this.#pieceLength, this.contextLength);
      const began = performance.now();
      const rows = this.#fillBatch(group, start, end);
      this.#context.decode(this.#batch);
      this.#context.synchronize();
      const decoded = performance.now();
      if (rows > 0) this.#scoreRows(scorer, group, rows, Math.max(0, start - this.#firstScored));
      this.seconds.forward += (decoded - began) / 1000;
      this.seconds.scoring += (performance.now() - decoded) / 1000;
    }
  }

  [Symbol.dispose](): void {
    this.#softmax[Symbol.dispose]();
    this.#context[Symbol.dispose]();
  }

  /** @returns the number of logits rows asked for, as many in every slot */
  #fillBatch(group: readonly GroupWindow[], start: number, end: number): number {
    const { model } = this.#context;
    this.#batch.clear();
    let rows = 0;
    for (const [slot, { tokens }] of group.entries()) {
      for (let position = start; position < end; position++) {
        const token = position === 0 && model.addsBos ? model.bosToken : tokens[position]!;
        const isScored = position >= this.#firstScored && position < tokens.length - 1;
        this.#batch.add(token, position, slot, isScored);
        if (isScored) rows++;
      }
    }
    return rows;
  }

  #scoreRows(scorer: RowScorer, group: readonly GroupWindow[], rows: number, firstIndex: number): void {
    const { columns, rowsMax } = this.#softmax;
    const { model } = this.#context;
    const rowsPerSlot = rows / group.length;
    const address = model.engine.llama.llama_get_logits(this.#context.pointer)!;
    const logits = this.#context.logitsAll(rows); // [vocabulary, rows]
    for (let block = 0; block < rows; block += rowsMax) {
      const blockRows = Math.min(rowsMax, rows - block);
      const probabilities = this.#softmax.compute(address, block, blockRows); // [vocabulary, blockRows]
      for (let row = block; row < block + blockRows; row++) {
        const slot = Math.floor(row / rowsPerSlot);
        const index = firstIndex + (row % rowsPerSlot);
        const { window, tokens } = group[slot]!;
        const value = scorer.score(
          slot,
          index,
          logits.subarray(row * columns, (row + 1) * columns),
          probabilities.subarray((row - block) * columns, (row - block + 1) * columns),
          tokens[this.#firstScored + index + 1]!,
        );
        if (!Number.isFinite(value)) throw notNumbers(model.path, window, value);
      }
    }
  }
}

/** How many windows side by side, and how many tokens of each in one decode call. */
function chooseShape(
  vocabularySize: number,
  contextLength: number,
  windows: number,
  scored: number,
): { slots: number; pieceLength: number } {
  const rowsMax = Math.max(1, Math.floor(LOGITS_BYTES_MAX / (vocabularySize * 4)));
  const slotsByRows = Math.floor(rowsMax / scored);
  const slots = Math.max(1, Math.min(Math.floor(MICRO_BATCH_TOKENS / contextLength), slotsByRows, windows));
  if (slots > 1 || contextLength <= Math.min(BATCH_TOKENS, rowsMax)) return { slots, pieceLength: contextLength };
  const whole = Math.min(BATCH_TOKENS, rowsMax);
  const unit = whole >= MICRO_BATCH_TOKENS ? MICRO_BATCH_TOKENS : Math.min(whole, 64);
  return { slots, pieceLength: whole - (whole % unit) };
}

function notNumbers(path: string, window: number, value: number): EngineError {
  const found = Number.isNaN(value) ? "logits that are not numbers" : "a next token of probability zero";
  return new EngineError(`Cannot measure "${path}": window ${window} has ${found}`, {
    hint: "The weights may be damaged or overflow; run: pare inspect",
  });
}
