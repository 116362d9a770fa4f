// Runs windows of text through a model and hands the logits after every scored token to a scorer. Same windows as
// llama-perplexity: BOS in place of a window's first token where the vocabulary adds it, the second half scored. Short
// windows are computed several at once, each as a sequence of its own. A group never makes llama.cpp cut a window into other
// micro batches than it would alone: its attention takes fewer than 64 queries through another kernel, whose rounding,
// amplified by 8-bit activations, moves a window's likelihood by 0.1 %.
import { EngineError } from "../errors.js";
import { LlamaContext } from "../native/llama-context.js";
import type { LlamaModel } from "../native/llama-model.js";
import type { TokenBatch } from "../native/token-batch.js";
import type { RunOptions } from "../support/progress.js";
import { scoredPerWindow } from "./baseline-record.js";
import { RowSoftmax } from "./row-softmax.js";
import type { GroupWindow, WindowScorer } from "./window-scorers.js";

/** Tokens that llama.cpp computes at once, its own default; short windows share them. */
const MICRO_BATCH_TOKENS = 512;

/** Tokens in one decode call for windows that are longer. */
const BATCH_TOKENS = 2048;

/** Logits of one decode call: what a vocabulary of 128 000 needs for 512 tokens. */
const LOGITS_BYTES_MAX = 256 << 20;

export interface MeasureTextPlan {
  tokens: Int32Array;
  contextLength: number;
  /** Numbers of the windows, ascending. */
  windows: readonly number[];
  threads?: number | undefined;
}

/** Where the time went. */
export interface TextSeconds {
  forward: number;
  scoring: number;
}

/**
 * Measures the windows in order.
 *
 * @throws {EngineError} when the model gives logits that are no numbers; the message names the window
 */
export async function measureText(
  model: LlamaModel,
  plan: MeasureTextPlan,
  scorer: WindowScorer,
  { signal, onProgress }: RunOptions = {},
): Promise<TextSeconds> {
  const { contextLength, windows } = plan;
  const scored = scoredPerWindow(contextLength);
  const { slots, pieceLength } = chooseShape(model.vocabularySize, contextLength, windows.length);
  using context = LlamaContext.create(model, {
    contextLength: contextLength * slots,
    batchSize: pieceLength * slots,
    microBatchSize: MICRO_BATCH_TOKENS,
    sequencesMax: slots,
    threads: plan.threads,
  });
  using softmax = RowSoftmax.create(model.engine, model.vocabularySize, context.threads);
  const batch = context.newBatch();
  const seconds: TextSeconds = { forward: 0, scoring: 0 };
  for (let first = 0; first < windows.length; first += slots) {
    const group = windows.slice(first, first + slots).map((window, slot) => ({
      window,
      tokens: plan.tokens.slice(window * contextLength, (window + 1) * contextLength),
      offset: (first + slot) * scored,
    }));
    await scorer.begin(group);
    context.clearMemory();
    for (let start = 0; start < contextLength; start += pieceLength) {
      signal?.throwIfAborted();
      const end = Math.min(start + pieceLength, contextLength);
      const began = performance.now();
      const rows = fillBatch(batch, model, group, start, end);
      context.decode(batch);
      context.synchronize();
      const decoded = performance.now();
      if (rows > 0) scoreRows(context, softmax, scorer, group, rows, scoredBefore(start, contextLength));
      seconds.forward += (decoded - began) / 1000;
      seconds.scoring += (performance.now() - decoded) / 1000;
    }
    await scorer.end();
    onProgress?.({
      stage: "measuring",
      done: (first + group.length) * contextLength,
      total: windows.length * contextLength,
      unit: "tokens",
    });
    await new Promise(setImmediate); // lets an abort and the progress message through
  }
  return seconds;
}

/** How many windows side by side, and how many tokens of each in one decode call. */
function chooseShape(
  vocabularySize: number,
  contextLength: number,
  windows: number,
): { slots: number; pieceLength: number } {
  const rowsMax = Math.max(1, Math.floor(LOGITS_BYTES_MAX / (vocabularySize * 4)));
  const slotsByRows = Math.floor(rowsMax / scoredPerWindow(contextLength));
  const slots = Math.max(1, Math.min(Math.floor(MICRO_BATCH_TOKENS / contextLength), slotsByRows, windows));
  if (slots > 1 || contextLength <= Math.min(BATCH_TOKENS, rowsMax)) return { slots, pieceLength: contextLength };
  const whole = Math.min(BATCH_TOKENS, rowsMax);
  const unit = whole >= MICRO_BATCH_TOKENS ? MICRO_BATCH_TOKENS : Math.min(whole, 64);
  return { slots, pieceLength: whole - (whole % unit) };
}

/** @returns the number of logits rows asked for, as many in every slot */
function fillBatch(
  batch: TokenBatch,
  model: LlamaModel,
  group: readonly GroupWindow[],
  start: number,
  end: number,
): number {
  batch.clear();
  let rows = 0;
  for (const [slot, { tokens }] of group.entries()) {
    const firstScored = Math.floor(tokens.length / 2);
    for (let position = start; position < end; position++) {
      const token = position === 0 && model.addsBos ? model.bosToken : tokens[position]!;
      const isScored = position >= firstScored && position < tokens.length - 1;
      batch.add(token, position, slot, isScored);
      if (isScored) rows++;
    }
  }
  return rows;
}

/** Scored tokens of a window that earlier pieces had. */
function scoredBefore(start: number, contextLength: number): number {
  return Math.max(0, start - Math.floor(contextLength / 2));
}

function scoreRows(
  context: LlamaContext,
  softmax: RowSoftmax,
  scorer: WindowScorer,
  group: readonly GroupWindow[],
  rows: number,
  firstIndex: number,
): void {
  const columns = softmax.columns;
  const rowsPerSlot = rows / group.length;
  const address = context.model.engine.llama.llama_get_logits(context.pointer)!;
  const logits = context.logitsAll(rows); // [vocabulary, rows]
  for (let block = 0; block < rows; block += softmax.rowsMax) {
    const blockRows = Math.min(softmax.rowsMax, rows - block);
    const probabilities = softmax.compute(address, block, blockRows); // [vocabulary, blockRows]
    for (let row = block; row < block + blockRows; row++) {
      const slot = Math.floor(row / rowsPerSlot);
      const index = firstIndex + (row % rowsPerSlot);
      const { window, tokens } = group[slot]!;
      const value = scorer.score(
        slot,
        index,
        logits.subarray(row * columns, (row + 1) * columns),
        probabilities.subarray((row - block) * columns, (row - block + 1) * columns),
        tokens[Math.floor(tokens.length / 2) + index + 1]!,
      );
      if (!Number.isFinite(value)) throw notNumbers(context.model.path, window, value);
    }
  }
}

function notNumbers(path: string, window: number, value: number): EngineError {
  const found = Number.isNaN(value) ? "logits that are not numbers" : "a next token of probability zero";
  return new EngineError(`Cannot measure "${path}": window ${window} has ${found}`, {
    hint: "The weights may be damaged or overflow; run: pare inspect",
  });
}
