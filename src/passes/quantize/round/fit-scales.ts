// First scales of a block: each group's own, then the block's float16 scale and the integers that come nearest to them.
import { FLOAT16_MIN, nearestFloat16 } from "../../../support/float16.js";
import { CLEARLY, fitGroup } from "./fit-group.js";
import { codeOf } from "./nearest-code.js";
import type { ScalarFormat } from "./scalar-format.js";

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
  const { blockWeights, groupWeights, scaleMin, scaleMax, minMax } = format;
  const groups = blockWeights / groupWeights;
  const parts = Array.from({ length: groups }, (_, group) => {
    const [start, end] = [group * groupWeights, (group + 1) * groupWeights];
    return { targets: targets.subarray(start, end), weights: weights.subarray(start, end) };
  });
  const fitted = parts.map((part) => fitGroup(format, part.targets, part.weights));
  const scales = fitted.map(({ scale }) => scale);
  const shared = shareScale(scales, scaleMin, scaleMax);
  out.superScales[block] = shared.superScale;
  out.scales.set(shared.integers, block * groups);
  if (minMax > 0) {
    const mins = fitted.map(({ offset }) => -offset);
    const sharedMins = shareScale(mins, minMax === 1 ? 1 : 0, minMax);
    out.superMins[block] = sharedMins.superScale;
    out.mins.set(sharedMins.integers, block * groups);
  }
  if (scaleMin === scaleMax) return;
  parts.forEach((part, group) => adjustGroup(format, part.targets, part.weights, block, block * groups + group, out));
}

/** One float16 and integers from `lowest` to `highest` whose products come near to the values. */
function shareScale(values: readonly number[], lowest: number, highest: number) {
  let extreme = 0;
  for (const value of values) if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  const reach = -lowest > highest ? lowest : highest; // the end that reaches farther takes the largest value
  let superScale = nearestFloat16(extreme / reach);
  // Too small for float16: its smallest number does, as long as integers can be smaller, too.
  if (superScale === 0 && lowest < highest) superScale = Math.sign(extreme / reach) * FLOAT16_MIN;
  const integers = values.map((value) =>
    superScale === 0 ? (lowest === highest ? lowest : 0) : clamp(Math.round(value / superScale), lowest, highest),
  );
  return { superScale, integers };
}

/** Rounded, a scale and an offset no longer suit each other: whichever integers next to them leave the least error stay. */
function adjustGroup(
  format: ScalarFormat,
  targets: Float64Array,
  weights: Float32Array,
  block: number,
  group: number,
  out: RowScales,
): void {
  const { scaleMin, scaleMax, minMax } = format;
  const [scale, min] = [out.scales[group]!, minMax > 0 ? out.mins[group]! : 0];
  const errorWith = (scale: number, min: number): number => {
    const offset = minMax > 0 ? -out.superMins[block]! * min : 0;
    return errorOf(format, targets, weights, out.superScales[block]! * scale, offset);
  };
  let least = errorWith(scale, min);
  for (let s = Math.max(scaleMin, scale - 1); s <= Math.min(scaleMax, scale + 1); s++) {
    for (let m = Math.max(0, min - 1); m <= Math.min(minMax, min + 1); m++) {
      const error = errorWith(s, m);
      if (!(error < least * CLEARLY)) continue;
      least = error;
      out.scales[group] = s;
      if (minMax > 0) out.mins[group] = m;
    }
  }
}

/** What is left of a group's targets under a scale and an offset, each at its nearest level. */
function errorOf(
  format: ScalarFormat,
  targets: Float64Array,
  weights: Float32Array,
  scale: number,
  offset: number,
): number {
  let error = 0;
  for (let i = 0; i < targets.length; i++) {
    const wanted = targets[i]! - offset;
    const left = scale === 0 ? wanted : wanted - scale * format.levels[codeOf(format, wanted / scale)]!;
    error += weights[i]! * left * left;
  }
  return error;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
