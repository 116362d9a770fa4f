// Weights that no type could hold are told of before anything is rounded: encoders make them blocks without a finite number.
import { PareError } from "../../../errors.js";

/** More than any type's largest scale times its largest level: 65504 · 128 · 32 of q6_K. */
export const WEIGHT_MAX = 2 ** 28;

/**
 * Looks at rows of weights.
 *
 * @param weights [columns × rows]
 * @throws {PareError} when one is NaN, infinite or beyond what any type holds
 */
export function requireStorable(weights: Float32Array, columns: number): void {
  for (let i = 0; i < weights.length; i++) {
    if (Math.abs(weights[i]!) <= WEIGHT_MAX) continue; // false for NaN, too
    const found = Number.isFinite(weights[i]!) ? `${weights[i]}, more than any type can hold` : `${weights[i]}`;
    throw new PareError(`A weight of column ${i % columns} is ${found}`, {
      hint: "The model may be damaged: check the file that it was made from",
    });
  }
}
