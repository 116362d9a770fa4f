// What a model predicts after each scored token of a text, kept in memory: for work that compares hundreds of variants of
// one model with it in one process. The file of the same content is baseline.ts.
import type { CompactDistributions } from "./compact-distribution.js";
import { CompactDistributionsBuilder } from "./compact-distribution-builder.js";
import { type Comparison, compareDistribution } from "./compact-distribution.js";
import { middleOf, scoredPerWindow } from "./baseline-record.js";
import { requireWindows } from "./text-windows.js";
import type { WindowRunner } from "./window-runner.js";
import type { TokenMeasurements } from "./window-scorers.js";

export class MemoryBaseline {
  readonly tokens: Int32Array;
  readonly contextLength: number;
  /** Position of a window's first scored token. */
  readonly firstScored: number;
  readonly scoredPerWindow: number;
  /** Whole windows of the text, measured or not. */
  readonly available: number;
  readonly #distributions = new Map<number, CompactDistributions>();

  /** @throws {PareError} when the text has not one whole window */
  constructor(tokens: Int32Array, contextLength: number, firstScored = middleOf(contextLength)) {
    this.tokens = tokens;
    this.contextLength = contextLength;
    this.firstScored = firstScored;
    this.scoredPerWindow = scoredPerWindow(contextLength, firstScored);
    this.available = requireWindows(tokens.length, contextLength);
  }

  has(window: number): boolean {
    return this.#distributions.has(window);
  }

  /** Memory that the distributions take. */
  get sizeBytes(): number {
    let total = 0;
    for (const distributions of this.#distributions.values()) {
      for (const array of Object.values(distributions) as Float64Array[]) total += array.byteLength;
    }
    return total;
  }

  /**
   * Measures windows with the model that is the baseline; those that are there already are left.
   *
   * @throws {RangeError} when the text has no such window
   */
  measure(runner: WindowRunner, windows: readonly number[], signal?: AbortSignal): void {
    const missing = windows.filter((window) => !this.has(window));
    const wrong = missing.find((window) => !(Number.isInteger(window) && window >= 0 && window < this.available));
    if (wrong !== undefined) throw new RangeError(`The text has no window ${wrong}: it has ${this.available}`);
    for (const group of runner.groups(this.tokens, missing)) {
      const builders = group.map(() => new CompactDistributionsBuilder(this.scoredPerWindow));
      const score = (
        slot: number,
        _: number,
        logits: Float32Array,
        probabilities: Float32Array,
        token: number,
      ): number => builders[slot]!.append(logits, probabilities, token);
      runner.run(group, { score }, signal);
      for (const [slot, { window }] of group.entries()) this.#distributions.set(window, builders[slot]!.finish());
    }
  }

  /**
   * Compares another model, which the runner holds, on windows that were measured.
   *
   * @throws {RangeError} when one was not
   */
  compare(runner: WindowRunner, windows: readonly number[], signal?: AbortSignal): Required<TokenMeasurements> {
    const scored = windows.length * this.scoredPerWindow;
    const negativeLogLikelihoods = new Float64Array(scored);
    const against = {
      negativeLogLikelihoods: new Float64Array(scored),
      klDivergences: new Float64Array(scored),
      isSameTop: new Uint8Array(scored),
    };
    const comparison: Comparison = { klDivergence: 0, negativeLogLikelihood: 0, isSameTop: false };
    for (const group of runner.groups(this.tokens, windows)) {
      const baselines = group.map(({ window }) => this.#window(window));
      for (const [slot, { offset }] of group.entries()) {
        against.negativeLogLikelihoods.set(baselines[slot]!.negativeLogLikelihoods, offset);
      }
      const score = (
        slot: number,
        index: number,
        logits: Float32Array,
        probabilities: Float32Array,
        token: number,
      ): number => {
        compareDistribution(baselines[slot]!, index, logits, probabilities, token, comparison);
        const at = group[slot]!.offset + index;
        negativeLogLikelihoods[at] = comparison.negativeLogLikelihood;
        against.klDivergences[at] = comparison.klDivergence;
        against.isSameTop[at] = comparison.isSameTop ? 1 : 0;
        return comparison.negativeLogLikelihood;
      };
      runner.run(group, { score }, signal);
    }
    return { negativeLogLikelihoods, against };
  }

  #window(window: number): CompactDistributions {
    const distributions = this.#distributions.get(window);
    if (distributions) return distributions;
    throw new RangeError(`Window ${window} of the text was not measured for the baseline`);
  }
}
