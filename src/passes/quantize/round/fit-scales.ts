// First scales of a block: for each group the scale (and offset) with the least weighted squared error among a handful of
// candidates, each refitted by least squares to the codes it gives; then the block's own float16 scale and the integers.
import { fromFloat16, toFloat16 } from "../../../support/float16.js";
import { codeOf } from "./nearest-code.js";
import type { ScalarFormat } from "./scalar-format.js";

/** Stretches of the range that are tried: below 1 the largest weights are clipped for the sake of the others. */
const STRETCHES = [0.7, 0.775, 0.85, 0.925, 1, 1.075, 1.15];
/** For 8-bit codes: clipping never pays, but another step may suit better. */
const STRETCHES_FINE = [0.985, 0.99, 0.995, 1, 1.005, 1.01, 1.015];

/** The same for each end of a range whose ends are free. */
const END_STRETCHES = [0.6, 0.7, 0.8, 0.9, 1, 1.1];

/** Where a row's scales are kept; see `RowsState`. Indices count from the row's first block and group. */
export interface RowScales {
  superScales: Float32Array;
  superMins: Float32Array;
  scales: Int16Array;
  mins: Uint8Array;
}

/**
 * Sets the scales of block `block`.
 *
 * @param targets of the block's weights
 * @param weights how much a squared error of each costs
 */
export function fitScales(
  format: ScalarFormat,
  targets: Float64Array,
  weights: Float32Array,
  block: number,
  out: RowScales,
): void {
  const { blockWeights, groupWeights } = format;
  const groups = blockWeights / groupWeights;
  const fitted = Array.from({ length: groups }, (_, group) => {
    const [start, end] = [group * groupWeights, (group + 1) * groupWeights];
    return fitGroup(format, targets.subarray(start, end), weights.subarray(start, end));
  });
  const { superScale, integers } = shareScale(
    fitted.map(({ scale }) => scale),
    format.scaleMin,
    format.scaleMax,
  );
  out.superScales[block] = superScale;
  integers.forEach((value, group) => (out.scales[block * groups + group] = value));
  if (format.minMax === 0) return;
  const mins = shareScale(
    fitted.map(({ offset }) => -offset),
    format.minMax === 1 ? 1 : 0,
    format.minMax,
  );
  out.superMins[block] = mins.superScale;
  mins.integers.forEach((value, group) => (out.mins[block * groups + group] = value));
}

/** One float16 and integers from `lowest` to `highest` whose products come near to the values. */
function shareScale(values: readonly number[], lowest: number, highest: number) {
  let extreme = 0;
  for (const value of values) if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  const reach = -lowest > highest ? lowest : highest; // the end that reaches farther takes the largest value
  const superScale = fromFloat16(toFloat16(extreme / reach));
  const integers = values.map((value) =>
    superScale === 0 ? lowest === highest ? lowest : 0 : clamp(Math.round(value / superScale), lowest, highest),
  );
  return { superScale, integers };
}

function fitGroup(format: ScalarFormat, targets: Float64Array, weights: Float32Array) {
  return format.minMax > 0 ? fitWithOffset(format, targets, weights) : fitWithoutOffset(format, targets, weights);
}

function fitWithoutOffset(format: ScalarFormat, targets: Float64Array, weights: Float32Array) {
  const { levels } = format;
  let extreme = 0;
  for (const target of targets) if (Math.abs(target) > Math.abs(extreme)) extreme = target;
  const best = { scale: 0, offset: 0 };
  if (extreme === 0) return best;
  let bestGain = 0; // how much of Σ w t² is explained
  const ends = [levels[0]!, levels.at(-1)!];
  const stretches = levels.length > 64 ? STRETCHES_FINE : STRETCHES;
  for (const end of ends) {
    for (const stretch of stretches) {
      const scale = (extreme / end) * stretch;
      let [cross, power] = [0, 0];
      for (let i = 0; i < targets.length; i++) {
        const level = levels[codeOf(format, targets[i]! / scale)]!;
        cross += weights[i]! * targets[i]! * level;
        power += weights[i]! * level * level;
      }
      const gain = power > 0 ? (cross * cross) / power : 0;
      if (gain <= bestGain) continue;
      bestGain = gain;
      best.scale = cross / power;
    }
  }
  return best;
}

function fitWithOffset(format: ScalarFormat, targets: Float64Array, weights: Float32Array) {
  const { levels, minMax } = format;
  const isSigned = minMax === 1; // a plain type's own offset may have either sign; that of a group is never above zero
  const top = levels.at(-1)!;
  let [low, high] = isSigned ? [Infinity, -Infinity] : [0, 0];
  for (const target of targets) {
    low = Math.min(low, target);
    high = Math.max(high, target);
  }
  const best = { scale: 0, offset: low };
  if (high <= low) return best;
  let [sumW, sumT, sumT2] = [0, 0, 0];
  for (let i = 0; i < targets.length; i++) {
    const weighted = weights[i]! * targets[i]!;
    sumW += weights[i]!;
    sumT += weighted;
    sumT2 += weighted * targets[i]!;
  }
  let bestError = Infinity;
  const [middle, half] = isSigned ? [(low + high) / 2, (high - low) / 2] : [0, 0];
  for (const highStretch of END_STRETCHES) {
    for (const lowStretch of END_STRETCHES) {
      // A plain type's range shrinks toward its middle, a group's toward zero, where its offset may not go beyond.
      const from = isSigned ? middle - half * lowStretch : low * lowStretch;
      const first = ((isSigned ? middle + half * highStretch : high * highStretch) - from) / top;
      let [sumL, sumL2, sumTL] = [0, 0, 0];
      for (let i = 0; i < targets.length; i++) {
        const level = levels[codeOf(format, (targets[i]! - from) / first)]!;
        sumL += weights[i]! * level;
        sumL2 += weights[i]! * level * level;
        sumTL += weights[i]! * targets[i]! * level;
      }
      const determinant = sumW * sumL2 - sumL * sumL;
      if (!(determinant > 0)) continue;
      let scale = (sumW * sumTL - sumT * sumL) / determinant;
      let offset = (sumL2 * sumT - sumL * sumTL) / determinant;
      if (!isSigned && offset > 0) [scale, offset] = [sumTL / sumL2, 0];
      if (!isSigned && scale < 0) continue;
      const explained = 2 * (scale * sumTL + offset * sumT);
      const power = scale * scale * sumL2 + 2 * scale * offset * sumL + offset * offset * sumW;
      const error = sumT2 - explained + power;
      if (error >= bestError) continue;
      bestError = error;
      best.scale = scale;
      best.offset = offset;
    }
  }
  return best;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
