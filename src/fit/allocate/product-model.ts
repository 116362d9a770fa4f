// What layer and kind of a tensor let one expect of a number that was measured for some tensors: kind effect × layer
// effect, fitted in logarithms. It fills in for tensors that were not measured, and steadies those that were measured
// with much noise. Both effects are drawn to none by ridge terms, so few observations suffice; outliers count less (Huber).
import { layerOf } from "../../passes/quantize/tensor-role.js";

/** The logarithm of what was measured, and how far off it may be. */
export interface LogObservation {
  /** A tensor's name in GGUF. */
  readonly name: string;
  readonly value: number;
  /** Squared standard error of `value`. */
  readonly variance: number;
}

/** What to expect of each tensor, in logarithms. */
export interface ProductModel {
  expect(name: string): number;
  /** Variance of true values around what is expected. */
  readonly spread: number;
}

const KIND_VARIANCE = 2 ** 2; // kinds differ by factors of ten: practically free
const LAYER_VARIANCE = 0.7 ** 2; // layers differ by some factor of two
const SPREAD_EXPECTED = 0.5 ** 2; // within a layer and kind, before anything is known
const SPREAD_WEIGHT = 4; // as much as so many tensors would say
const SPREAD_MIN = 0.05 ** 2;
const HUBER_LIMIT = 2; // in standard deviations
const ROUNDS = 8; // of estimating the spread
const SWEEPS = 20; // of fitting the effects to it, one after the other

/**
 * Fits the model to what was measured.
 *
 * @returns with no observation, a model that expects 0
 */
export function fitProductModel(observations: readonly LogObservation[]): ProductModel {
  const kinds = new Effects(observations, kindOf, KIND_VARIANCE);
  const layers = new Effects(observations, layerOf, LAYER_VARIANCE);
  const parameters = 1 + (kinds.count - 1) + (layers.count - 1);
  let mean = 0;
  let spread = SPREAD_EXPECTED;
  const expect = (name: string) => mean + kinds.of(name) + layers.of(name);
  let weights = observations.map(({ variance }) => 1 / (variance + spread));
  for (let round = 0; round < ROUNDS && observations.length > 0; round++) {
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      mean += weightedMean(
        observations.map(({ name, value }) => value - expect(name)),
        weights,
      );
      kinds.fit((name) => mean + layers.of(name), weights);
      layers.fit((name) => mean + kinds.of(name), weights);
    }
    const residuals = observations.map(({ name, value }) => value - expect(name));
    spread = estimateSpread(observations, residuals, spread, parameters);
    weights = residuals.map((residual, i) => {
      const deviation = Math.sqrt(observations[i]!.variance + spread);
      return Math.min(1, (HUBER_LIMIT * deviation) / Math.abs(residual)) / deviation ** 2;
    });
  }
  return { expect, spread };
}

/** By moments, where precise observations count most: E Σ residual² = (n − parameters) · (spread + variance). */
function estimateSpread(
  observations: readonly LogObservation[],
  residuals: readonly number[],
  spread: number,
  parameters: number,
): number {
  const weights = observations.map(({ variance }) => (variance + spread) ** -2);
  const variance = weightedMean(
    observations.map(({ variance }) => variance),
    weights,
  );
  const square = weightedMean(
    residuals.map((residual, i) => Math.min(residual ** 2, 9 * (observations[i]!.variance + spread))), // outliers
    weights,
  );
  const freedom = Math.max(0, observations.length - parameters);
  const excess = observations.length * square - freedom * variance;
  return Math.max(SPREAD_MIN, (SPREAD_WEIGHT * SPREAD_EXPECTED + excess) / (SPREAD_WEIGHT + freedom));
}

/** A tensor's name without its layer: `attn_q.weight`. */
export function kindOf(name: string): string {
  return name.replace(/^blk\.\d+\./, "");
}

/** One effect for each group of tensors. */
class Effects {
  readonly #observations: readonly LogObservation[];
  readonly #groupOf: (name: string) => string | number;
  readonly #variance: number;
  readonly #values = new Map<string | number, number>();

  constructor(observations: readonly LogObservation[], groupOf: (name: string) => string | number, variance: number) {
    this.#observations = observations;
    this.#groupOf = groupOf;
    this.#variance = variance;
    for (const { name } of observations) this.#values.set(groupOf(name), 0);
  }

  get count(): number {
    return this.#values.size;
  }

  of(name: string): number {
    return this.#values.get(this.#groupOf(name)) ?? 0;
  }

  /** Each group's weighted mean of what `rest` leaves, drawn to 0. */
  fit(rest: (name: string) => number, weights: readonly number[]): void {
    const sums = new Map([...this.#values.keys()].map((group) => [group, { left: 0, weight: 1 / this.#variance }]));
    for (const [i, { name, value }] of this.#observations.entries()) {
      const sum = sums.get(this.#groupOf(name))!;
      sum.left += weights[i]! * (value - rest(name));
      sum.weight += weights[i]!;
    }
    for (const [group, { left, weight }] of sums) this.#values.set(group, left / weight);
  }
}

function weightedMean(values: readonly number[], weights: readonly number[]): number {
  let [sum, weightSum] = [0, 0];
  for (const [i, value] of values.entries()) {
    sum += weights[i]! * value;
    weightSum += weights[i]!;
  }
  return sum / weightSum;
}
