// The scale (and offset) of one group of weights with the least weighted squared error among a handful of candidates, each
// refitted by least squares to the codes that it gives. Sums are over what a candidate leaves, not over targets: the kernel,
// the twin of this, has single precision.
import { codeOf } from "./nearest-code.js";
import type { ScalarFormat } from "./scalar-format.js";

/** Stretches of the range that are tried: below 1 the largest weights are clipped for the sake of the others. */
const STRETCHES = [0.7, 0.775, 0.85, 0.925, 1, 1.075, 1.15];
/** For 8-bit codes: clipping never pays, but another step may suit better. */
const STRETCHES_FINE = [0.985, 0.99, 0.995, 1, 1.005, 1.01, 1.015];
/** The same for each end of a range whose ends are free. */
const END_STRETCHES = [0.6, 0.7, 0.8, 0.9, 1, 1.1];

/** How much less an error must be to count: a range and its mirror image often fit alike, but for a last bit. */
export const CLEARLY = 0.9999;

/** Target ≈ scale · level + offset. */
export interface GroupFit {
  scale: number;
  offset: number;
}

/**
 * Fits one group before anything is rounded but its codes.
 *
 * @param targets of the group's weights
 * @param weights how much a squared error of each costs
 */
export function fitGroup(format: ScalarFormat, targets: Float64Array, weights: Float32Array): GroupFit {
  return format.minMax > 0 ? fitWithOffset(format, targets, weights) : fitWithoutOffset(format, targets, weights);
}

function fitWithoutOffset(format: ScalarFormat, targets: Float64Array, weights: Float32Array): GroupFit {
  const { levels } = format;
  const best = { scale: 0, offset: 0 };
  let extreme = 0;
  let bestError = 0;
  for (let i = 0; i < targets.length; i++) {
    if (Math.abs(targets[i]!) > Math.abs(extreme)) extreme = targets[i]!;
    bestError += weights[i]! * targets[i]! ** 2;
  }
  if (extreme === 0) return best;
  const stretches = levels.length > 64 ? STRETCHES_FINE : STRETCHES;
  for (const end of [levels[0]!, levels.at(-1)!]) {
    for (const stretch of stretches) {
      const first = (extreme / end) * stretch;
      let [sumR2, sumRL, sumL2] = [0, 0, 0];
      for (let i = 0; i < targets.length; i++) {
        const level = levels[codeOf(format, targets[i]! / first)]!;
        const left = targets[i]! - first * level;
        sumR2 += weights[i]! * left * left;
        sumRL += weights[i]! * left * level;
        sumL2 += weights[i]! * level * level;
      }
      if (!(sumL2 > 0)) continue;
      const step = sumRL / sumL2;
      const error = sumR2 - step * sumRL;
      if (!(error < bestError * CLEARLY)) continue;
      bestError = error;
      best.scale = first + step;
    }
  }
  return best;
}

function fitWithOffset(format: ScalarFormat, targets: Float64Array, weights: Float32Array): GroupFit {
  const { levels, minMax } = format;
  const isSigned = minMax === 1; // a plain type's own offset may have either sign; that of a group is never above zero
  const top = levels.at(-1)!;
  let [low, high] = isSigned ? [Infinity, -Infinity] : [0, 0];
  // Targets and levels count from those of the heaviest weight, or sums would be all its own.
  let [heaviest, pivot, sumW] = [0, 0, 0];
  for (let i = 0; i < targets.length; i++) {
    low = Math.min(low, targets[i]!);
    high = Math.max(high, targets[i]!);
    sumW += weights[i]!;
    if (weights[i]! > heaviest) [heaviest, pivot] = [weights[i]!, targets[i]!];
  }
  const best = { scale: 0, offset: low };
  if (high <= low) return best;
  let bestError = Infinity;
  const [middle, half] = isSigned ? [(low + high) / 2, (high - low) / 2] : [0, 0];
  for (const highStretch of END_STRETCHES) {
    for (const lowStretch of END_STRETCHES) {
      // A plain type's range shrinks toward its middle, a group's toward zero, where its offset may not go beyond.
      const from = isSigned ? middle - half * lowStretch : low * lowStretch;
      const first = ((isSigned ? middle + half * highStretch : high * highStretch) - from) / top;
      const pivotLevel = levels[codeOf(format, (pivot - from) / first)]!;
      let [sumL, sumL2, sumR, sumR2, sumRL] = [0, 0, 0, 0, 0];
      for (let i = 0; i < targets.length; i++) {
        const level = levels[codeOf(format, (targets[i]! - from) / first)]! - pivotLevel;
        const left = targets[i]! - pivot - first * level;
        sumL += weights[i]! * level;
        sumL2 += weights[i]! * level * level;
        sumR += weights[i]! * left;
        sumR2 += weights[i]! * left * left;
        sumRL += weights[i]! * left * level;
      }
      const determinant = sumW * sumL2 - sumL * sumL;
      // What to add to `first`, and to the pivot; where all are at one level, any scale will do.
      let step = determinant > 0 ? (sumW * sumRL - sumR * sumL) / determinant : 0;
      let shift = determinant > 0 ? (sumL2 * sumR - sumL * sumRL) / determinant : sumR / sumW;
      let offset = pivot + shift - (first + step) * pivotLevel;
      if (!isSigned && offset > 0) {
        const missed = pivot - first * pivotLevel;
        const cross = sumRL + pivotLevel * sumR + missed * (sumL + pivotLevel * sumW);
        step = cross / (sumL2 + pivotLevel * (2 * sumL + pivotLevel * sumW));
        shift = (first + step) * pivotLevel - pivot;
        offset = 0;
      }
      const scale = first + step;
      if (!isSigned && !(scale >= 0)) continue;
      const power = step * step * sumL2 + 2 * step * shift * sumL + shift * shift * sumW;
      const error = sumR2 - 2 * (step * sumRL + shift * sumR) + power;
      if (!(error < bestError * CLEARLY)) continue;
      bestError = error;
      best.scale = scale;
      best.offset = offset;
    }
  }
  return best;
}
