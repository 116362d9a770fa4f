// Targets for a layer whose inputs have drifted because the layers before it were rounded. With x the original's input and
// x̂ the candidate's, Σ ‖W x − Q x̂‖² over Q is least at W C H⁻¹, where H = mean x̂ x̂ᵀ and C = mean x x̂ᵀ, and grows from
// there as H says (Li et al., 2025, GPTAQ, arXiv:2504.02692). Written as W + W (C − H) H⁻¹, damping leaves W as it is where
// there is no data. Plain TypeScript, the kernel's twin.
import type { LdlFactor } from "./problem.js";

/**
 * (C − H)ᵀ, as the kernel and `retarget` take it.
 *
 * @param cross C, element (i, j) at i · columns + j: i of the original, j of the candidate
 * @param hessian H, neither of them damped
 * @param drift memory for the result; its own by default
 */
export function driftOf(
  cross: Float32Array,
  hessian: Float32Array,
  columns: number,
  drift: Float32Array = new Float32Array(columns * columns),
): Float32Array {
  for (let i = 0; i < columns; i++) {
    for (let j = 0; j < columns; j++) drift[j * columns + i] = cross[i * columns + j]! - hessian[i * columns + j]!;
  }
  return drift;
}

/**
 * Moves rows to their targets, in place.
 *
 * @param rows [columns × any]
 * @param drift of `driftOf`
 * @param factor of the damped H
 * @param share how much of the way to go, 0 to 1
 */
export function retarget(rows: Float32Array, drift: Float32Array, factor: LdlFactor, share: number): void {
  const { columns, upper, diagonal } = factor;
  const solution = new Float64Array(columns);
  for (let start = 0; start < rows.length; start += columns) {
    const row = rows.subarray(start, start + columns);
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let i = 0; i < columns; i++) sum += row[i]! * drift[j * columns + i]!;
      solution[j] = sum;
    }
    for (let k = columns - 1; k > 0; k--) {
      for (let i = 0; i < k; i++) solution[i]! -= solution[k]! * upper[k * columns + i]!;
    }
    for (let j = 0; j < columns; j++) {
      let known = 0;
      for (let i = 0; i < j; i++) known += solution[i]! * upper[j * columns + i]!;
      solution[j] = solution[j]! / diagonal[j]! - known;
    }
    for (let j = 0; j < columns; j++) row[j]! += share * solution[j]!;
  }
}
