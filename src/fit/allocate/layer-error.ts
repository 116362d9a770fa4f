// The relative error that a type leaves in a tensor's output, also for the types that it was not rounded to: one or two
// roundings show how hard the tensor is, and how types compare with each other is much the same everywhere.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { monotoneCurve } from "./monotone-curve.js";

/**
 * Mean squared error ÷ mean square of standard normal weights, rounded by ggml with equal importance: 32 rows of 4096
 * drawn with seed 0. Only their ratios are used. The types that are made for other weights (ternary, signs) are far off.
 */
export const NOMINAL_ERRORS: Readonly<Partial<Record<GgmlType, number>>> = {
  f32: 1e-12, // stands for none
  f16: 4.29e-8,
  bf16: 2.76e-6,
  q8_0: 2.85e-5,
  q6_K: 3.01e-4,
  q5_1: 1.14e-3,
  q5_K: 1.25e-3,
  q5_0: 1.63e-3,
  q4_1: 4.87e-3,
  q4_K: 4.99e-3,
  iq4_nl: 5.63e-3,
  iq4_xs: 5.74e-3,
  q4_0: 6.68e-3,
  nvfp4: 9.05e-3,
  mxfp4: 1.33e-2,
  iq3_s: 1.87e-2,
  q3_K: 2.09e-2,
  iq3_xxs: 3.3e-2,
  iq2_s: 6.18e-2,
  q2_K: 7.18e-2,
  iq2_xs: 8.97e-2,
  iq2_xxs: 0.118,
  iq1_m: 0.204,
  iq1_s: 0.236,
  q1_0: 0.36,
  q2_0: 0.513,
  tq1_0: 0.65,
  tq2_0: 0.65,
};

/**
 * The errors of all the types: measured ones as they are, the others from {@link NOMINAL_ERRORS}, bent so that they agree
 * with what was measured. Between measured types straight in logarithms, beyond them in proportion.
 *
 * @param measured relative errors of this tensor by type, 0 or more; where there are none, the nominal errors are given
 * @throws {RangeError} when a type has no nominal error and was not measured
 */
export function completeErrors(
  measured: ReadonlyMap<GgmlType, number>,
  types: Iterable<GgmlType>,
): Map<GgmlType, number> {
  const points = [...measured]
    .filter(([type, error]) => error > 0 && NOMINAL_ERRORS[type] !== undefined)
    .map(([type, error]) => ({ x: Math.log(nominalError(type)), y: Math.log(error) }));
  const curve = points.length > 0 ? monotoneCurve(points, 1) : (x: number) => x;
  return new Map([...types].map((type) => [type, measured.get(type) ?? Math.exp(curve(Math.log(nominalError(type))))]));
}

function nominalError(type: GgmlType): number {
  const error = NOMINAL_ERRORS[type];
  if (error === undefined) throw new RangeError(`Weights are not stored as ${type}, so its error is not known`);
  return error;
}
