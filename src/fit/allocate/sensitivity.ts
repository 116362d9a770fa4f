// How much divergence a rounding of each tensor causes, from few measurements: the tensor's relative layer error e times
// its sensitivity s, s measured by putting one or two roundings into the full-precision model. The linearity theorem
// (Malinovskii et al., 2024, arXiv:2411.17525) has the divergence proportional to e; here it is s·eᵖ with one p for
// all tensors, near 1, and what was measured of a type outweighs the formula as far as it is known better.
//
// Steps, all in logarithms: p from tensors with two measurements; each tensor's level; levels drawn to what the product
// model of layer and kind expects, the more the noisier they are (empirical Bayes); a curve through the measured points.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { type MonotoneCurve, monotoneCurve } from "./monotone-curve.js";
import { type LogObservation, fitProductModel } from "./product-model.js";

/** A divergence that was measured with one tensor rounded and all else in full precision. */
export interface SubstitutionEvidence {
  readonly type: GgmlType;
  /** Relative layer error of that rounding: tr((W−Q) H (W−Q)ᵀ) / tr(W H Wᵀ), above 0. */
  readonly layerError: number;
  /** Mean KL divergence, nats per token. */
  readonly mean: number;
  readonly standardError: number;
}

/** A tensor and what is known of it; nothing, where it was not measured. */
export interface TensorEvidence {
  readonly name: string;
  readonly substitutions: readonly SubstitutionEvidence[];
}

export interface Sensitivity {
  /** p in s·eᵖ. */
  readonly exponent: number;
  /** Standard deviation of ln s around the product model: how much tensors of one layer and kind differ. */
  readonly spread: number;
  /** s of each tensor, drawn to the product model: the divergence that a relative layer error of 1 would cause. */
  readonly levels: ReadonlyMap<string, number>;
  /**
   * The mean KL divergence to expect of one rounded tensor: 0 or more, and no less for a larger error.
   *
   * @throws {RangeError} when the tensor is unknown
   */
  predict(name: string, layerError: number): number;
}

/** Below it float32 logits resolve nothing. */
const DIVERGENCE_MIN = 1e-8;
/** No tensor is so much less sensitive than what is expected of it, whatever a measurement says. */
const LEVEL_SHARE_MIN = 1e-3;
const EXPONENT_DEVIATION = 0.15; // of p around 1, before anything is measured
const CURVE_VARIANCE = 0.15 ** 2; // of single types around s·eᵖ, before anything is measured
const CURVE_WEIGHT = 4; // as much as so many measurements would say

/** One substitution as a point: x = ln e, y = ln divergence. */
interface Point {
  readonly x: number;
  readonly y: number;
  readonly variance: number;
}

interface TensorPoints {
  readonly name: string;
  readonly points: readonly Point[];
}

/** Fits the sensitivities of all tensors at once. */
export function fitSensitivity(tensors: readonly TensorEvidence[]): Sensitivity {
  const all = tensors.map(({ name, substitutions }) => ({ name, points: substitutions.flatMap(pointOf) }));
  const exponent = fitExponent(all);
  const curveVariance = fitCurveVariance(all, exponent);
  const observed = all
    .filter(({ points }) => points.length > 0)
    .map((tensor) => levelOf(tensor, exponent, curveVariance));
  const model = fitProductModel(observed);
  const byName = new Map(observed.map((observation) => [observation.name, observation]));
  const levels = new Map(
    all.map(({ name }) => [name, shrink(byName.get(name), model.expect(name), model.spread)] as const),
  );
  const curves = new Map(
    all.map(({ name, points }) => [name, curveOf(points, levels.get(name)!, exponent, curveVariance)] as const),
  );
  return {
    exponent,
    spread: Math.sqrt(model.spread),
    levels: new Map([...levels].map(([name, level]) => [name, Math.exp(level)])),
    predict(name, layerError) {
      const curve = curves.get(name);
      if (!curve) throw new RangeError(`Nothing is known of a tensor "${name}"`);
      return layerError > 0 ? Math.exp(curve(Math.log(layerError))) : 0;
    },
  };
}

/**
 * A divergence that is lost in its own noise counts as no more than its standard error, and is then known to a factor of e
 * at best. A rounding without an error says nothing.
 */
function pointOf({ layerError, mean, standardError }: SubstitutionEvidence): Point[] {
  if (!(layerError > 0) || !Number.isFinite(mean) || !Number.isFinite(standardError)) return [];
  const divergence = Math.max(mean, standardError, DIVERGENCE_MIN);
  return [{ x: Math.log(layerError), y: Math.log(divergence), variance: (standardError / divergence) ** 2 }];
}

/** p, from the tensors that have more than one point: weighted least squares within tensors, drawn to 1. */
function fitExponent(tensors: readonly TensorPoints[]): number {
  let [top, bottom] = [EXPONENT_DEVIATION ** -2, EXPONENT_DEVIATION ** -2];
  for (const { points } of tensors) {
    const weights = points.map(({ variance }) => 1 / (variance + CURVE_VARIANCE));
    const [xMean, yMean] = [mean(points, weights, "x"), mean(points, weights, "y")];
    for (const [i, { x, y }] of points.entries()) {
      top += weights[i]! * (x - xMean) * (y - yMean);
      bottom += weights[i]! * (x - xMean) ** 2;
    }
  }
  return Math.min(2, Math.max(0.5, top / bottom));
}

/** How far single types lie from s·eᵖ, beyond the noise of their measurement. */
function fitCurveVariance(tensors: readonly TensorPoints[], exponent: number): number {
  let [excess, count] = [CURVE_WEIGHT * CURVE_VARIANCE, CURVE_WEIGHT];
  for (const { points } of tensors) {
    if (points.length < 2) continue;
    const levels = points.map(({ x, y }) => y - exponent * x);
    const level = levels.reduce((sum, value) => sum + value, 0) / levels.length;
    const noise = points.reduce((sum, { variance }) => sum + variance, 0) / points.length;
    const squares = levels.reduce((sum, value) => sum + (value - level) ** 2, 0);
    excess += squares - (points.length - 1) * noise;
    count += points.length - 1;
  }
  return Math.max(1e-4, excess / count);
}

/** ln s of one tensor from its own points. */
function levelOf({ name, points }: TensorPoints, exponent: number, curveVariance: number): LogObservation {
  const weights = points.map(({ variance }) => 1 / (variance + curveVariance));
  const value = mean(points, weights, "y") - exponent * mean(points, weights, "x");
  return { name, value, variance: 1 / weights.reduce((sum, weight) => sum + weight, 0) };
}

/** The level that is most likely, given what was measured and what is expected. */
function shrink(observed: LogObservation | undefined, expected: number, spread: number): number {
  if (!observed) return expected;
  const share = spread / (spread + observed.variance);
  return Math.max(expected + Math.log(LEVEL_SHARE_MIN), expected + share * (observed.value - expected));
}

/** ln divergence over ln e: through the points as far as they are trusted, with slope p beyond them. */
function curveOf(points: readonly Point[], level: number, exponent: number, curveVariance: number): MonotoneCurve {
  if (points.length === 0) return (x) => level + exponent * x;
  const trusted = points.map(({ x, y, variance }) => {
    const line = level + exponent * x;
    const share = curveVariance / (curveVariance + variance);
    return { x, y: line + share * (y - line), weight: 1 / (variance + curveVariance) };
  });
  return monotoneCurve(trusted, exponent);
}

function mean(points: readonly Point[], weights: readonly number[], key: "x" | "y"): number {
  let [sum, weightSum] = [0, 0];
  for (const [i, point] of points.entries()) {
    sum += weights[i]! * point[key];
    weightSum += weights[i]!;
  }
  return sum / weightSum;
}
