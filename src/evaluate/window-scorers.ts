// What is done with the logits after each scored token: take the likelihood, keep a baseline, or compare with one. The
// loop over windows (window-runner.ts) hands every row to one of these.
import { PareError } from "../errors.js";
import type { BaselineReader, BaselineWriter } from "./baseline.js";
import type { BaselineWindow } from "./baseline-record.js";
import { CompactDistributionsBuilder } from "./compact-distribution-builder.js";
import { type Comparison, compareDistribution, negativeLogLikelihood } from "./compact-distribution.js";
import type { GroupWindow, RowScorer } from "./window-runner.js";

/** Numbers per scored token, windows one after another in the order measured. */
export interface TokenMeasurements {
  negativeLogLikelihoods: Float64Array;
  against?: {
    negativeLogLikelihoods: Float64Array;
    klDivergences: Float64Array;
    isSameTop: Uint8Array;
  };
}

export interface WindowScorer extends RowScorer {
  begin(group: readonly GroupWindow[]): Promise<void>;
  end(): Promise<void>;
  readonly measurements: TokenMeasurements;
}

/** Takes the likelihood alone. */
export class LikelihoodScorer implements WindowScorer {
  readonly measurements: TokenMeasurements;
  #group: readonly GroupWindow[] = [];

  constructor(scored: number) {
    this.measurements = { negativeLogLikelihoods: new Float64Array(scored) };
  }

  async begin(group: readonly GroupWindow[]): Promise<void> {
    this.#group = group;
  }

  score(slot: number, index: number, logits: Float32Array, probabilities: Float32Array, token: number): number {
    const value = negativeLogLikelihood(logits, probabilities, token);
    this.measurements.negativeLogLikelihoods[this.#group[slot]!.offset + index] = value;
    return value;
  }

  async end(): Promise<void> {}
}

/** Takes the likelihood and keeps the distributions in a baseline file. */
export class BaselineScorer implements WindowScorer {
  readonly measurements: TokenMeasurements;
  readonly #writer: BaselineWriter;
  readonly #scoredPerWindow: number;
  #group: readonly GroupWindow[] = [];
  #builders: CompactDistributionsBuilder[] = [];

  constructor(scored: number, scoredPerWindow: number, writer: BaselineWriter) {
    this.measurements = { negativeLogLikelihoods: new Float64Array(scored) };
    this.#scoredPerWindow = scoredPerWindow;
    this.#writer = writer;
  }

  async begin(group: readonly GroupWindow[]): Promise<void> {
    this.#group = group;
    this.#builders = group.map(() => new CompactDistributionsBuilder(this.#scoredPerWindow));
  }

  score(slot: number, index: number, logits: Float32Array, probabilities: Float32Array, token: number): number {
    const value = this.#builders[slot]!.append(logits, probabilities, token);
    this.measurements.negativeLogLikelihoods[this.#group[slot]!.offset + index] = value;
    return value;
  }

  async end(): Promise<void> {
    for (const [slot, { tokens }] of this.#group.entries()) {
      await this.#writer.add({ tokens, distributions: this.#builders[slot]!.finish() });
    }
  }
}

/** Compares with a baseline file. */
export class ComparingScorer implements WindowScorer {
  readonly measurements: TokenMeasurements & Required<Pick<TokenMeasurements, "against">>;
  readonly #reader: BaselineReader;
  readonly #comparison: Comparison = { klDivergence: 0, negativeLogLikelihood: 0, isSameTop: false };
  #group: readonly GroupWindow[] = [];
  #baselines: BaselineWindow[] = [];

  constructor(scored: number, reader: BaselineReader) {
    this.#reader = reader;
    this.measurements = {
      negativeLogLikelihoods: new Float64Array(scored),
      against: {
        negativeLogLikelihoods: new Float64Array(scored),
        klDivergences: new Float64Array(scored),
        isSameTop: new Uint8Array(scored),
      },
    };
  }

  /** @throws {PareError} when the baseline was made of other text */
  async begin(group: readonly GroupWindow[]): Promise<void> {
    this.#group = group;
    this.#baselines = await Promise.all(group.map(({ window }) => this.#reader.window(window)));
    for (const [slot, { window, tokens, offset }] of group.entries()) {
      const baseline = this.#baselines[slot]!;
      if (baseline.tokens.some((token, i) => token !== tokens[i])) {
        throw new PareError(`Baseline "${this.#reader.path}" is of another text: window ${window} has other tokens`, {
          hint: "Compare on the text that the baseline was written from",
        });
      }
      this.measurements.against.negativeLogLikelihoods.set(baseline.distributions.negativeLogLikelihoods, offset);
    }
  }

  score(slot: number, index: number, logits: Float32Array, probabilities: Float32Array, token: number): number {
    const { distributions } = this.#baselines[slot]!;
    const compared = compareDistribution(distributions, index, logits, probabilities, token, this.#comparison);
    const at = this.#group[slot]!.offset + index;
    this.measurements.negativeLogLikelihoods[at] = compared.negativeLogLikelihood;
    this.measurements.against.klDivergences[at] = compared.klDivergence;
    this.measurements.against.isSameTop[at] = compared.isSameTop ? 1 : 0;
    return compared.negativeLogLikelihood;
  }

  async end(): Promise<void> {}
}
