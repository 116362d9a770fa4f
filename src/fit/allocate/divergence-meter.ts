// Measures how far a model in memory is from a baseline in memory, on as many windows of its text as the budget allows.
import type { MemoryBaseline } from "../../evaluate/memory-baseline.js";
import { meanEstimate, quantileOfSorted } from "../../evaluate/statistics.js";
import { type TextSeconds, WindowRunner } from "../../evaluate/window-runner.js";
import type { TokenMeasurements } from "../../evaluate/window-scorers.js";
import type { ContextOptions } from "../../native/llama-context.js";
import type { LlamaModel } from "../../native/llama-model.js";

/** KV-cache types in ggml's spelling, and the attention that they need. */
export type CacheOptions = Pick<ContextOptions, "typeK" | "typeV" | "flashAttention">;

export interface DivergenceOptions extends CacheOptions {
  /** How many of the baseline's windows, from its first on; all when absent. */
  windows?: number;
  signal?: AbortSignal;
}

/** KL(baseline ‖ model) in nats per scored token. */
export interface Divergence {
  /** Scored tokens. */
  tokens: number;
  mean: number;
  /** Between windows, as tokens of one window depend on each other; with a single window between tokens. */
  standardError: number;
  median: number;
  p99: number;
  /** Share of tokens after which both models' most likely token is the same. */
  sameTopRate: number;
  /** Baseline perplexity ÷ this model's: 1 means no loss, less is worse. */
  perplexityRatio: number;
  /** Mean per window, in the baseline's order: for paired comparisons. */
  windowMeans: Float64Array;
  seconds: TextSeconds;
}

/** A text, what the baseline predicts on it, and its windows in the order in which budgets take them. */
export interface Yardstick {
  baseline: MemoryBaseline;
  windows: readonly number[];
}

export class DivergenceMeter implements Disposable {
  readonly #model: LlamaModel;
  readonly #threads: number | undefined;
  #runner: { key: string; runner: WindowRunner } | undefined;

  constructor(model: LlamaModel, threads: number | undefined) {
    this.#model = model;
    this.#threads = threads;
  }

  /**
   * Compares the model as it is now.
   *
   * @throws {RangeError} when more windows are asked for than the baseline has
   * @throws {EngineError} when the logits are not numbers, or the cache types can't be had
   */
  measure({ baseline, windows }: Yardstick, options: DivergenceOptions = {}): Divergence {
    const count = options.windows ?? windows.length;
    if (!(Number.isInteger(count) && count >= 1 && count <= windows.length))
      throw new RangeError(`Cannot measure on ${count} windows: the baseline has ${windows.length}`);
    const runner = this.runner({ baseline, windows }, options);
    const before = { ...runner.seconds };
    const measured = baseline.compare(runner, windows.slice(0, count), options.signal);
    return {
      ...summarize(measured, baseline.scoredPerWindow),
      seconds: {
        forward: runner.seconds.forward - before.forward,
        scoring: runner.seconds.scoring - before.scoring,
      },
    };
  }

  /** The context for these windows and cache types; the last one is kept. */
  runner({ baseline, windows }: Yardstick, cache: CacheOptions = {}): WindowRunner {
    const { contextLength, firstScored } = baseline;
    const { typeK = "f16", typeV = "f16", flashAttention = "auto" } = cache;
    const key = JSON.stringify([contextLength, firstScored, windows.length, typeK, typeV, flashAttention]);
    if (this.#runner?.key === key) return this.#runner.runner;
    this.#release();
    const shape = { contextLength, firstScored, windows: windows.length };
    const runner = new WindowRunner(this.#model, { ...shape, threads: this.#threads, typeK, typeV, flashAttention });
    this.#runner = { key, runner };
    return runner;
  }

  [Symbol.dispose](): void {
    this.#release();
  }

  #release(): void {
    this.#runner?.runner[Symbol.dispose]();
    this.#runner = undefined;
  }
}

function summarize(measured: Required<TokenMeasurements>, scored: number): Omit<Divergence, "seconds"> {
  const { negativeLogLikelihoods, against } = measured;
  const { klDivergences, isSameTop } = against;
  const sorted = klDivergences.slice().sort();
  const { value, standardError } = meanEstimate(klDivergences, scored);
  const gains = negativeLogLikelihoods.map((loss, i) => against.negativeLogLikelihoods[i]! - loss);
  return {
    tokens: klDivergences.length,
    mean: value,
    standardError,
    median: quantileOfSorted(sorted, 0.5),
    p99: quantileOfSorted(sorted, 0.99),
    sameTopRate: meanEstimate(isSameTop, scored).value,
    perplexityRatio: Math.exp(meanEstimate(gains, scored).value),
    windowMeans: Float64Array.from(
      { length: klDivergences.length / scored },
      (_, window) => meanEstimate(klDivergences.subarray(window * scored, (window + 1) * scored)).value,
    ),
  };
}
