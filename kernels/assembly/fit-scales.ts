// First scales of a block; see fit-scales.ts of the host for what is done and why.
import { CLEARLY, errorOf, fitGroup, fittedOffset, fittedScale } from "./fit-group";
import { FLOAT16_MIN, nearestFloat16 } from "./float16";
import * as format from "./format";

/** Scales and mins of a block's groups before they are rounded [16] each. */
const groupScales: usize = memory.data(64, 16);
const groupMins: usize = memory.data(64, 16);

/**
 * Sets the scales of one block.
 *
 * @param targets f32 [blockWeights]
 * @param weights f32 [blockWeights]
 * @param superScale f32, superMin f32, scales i16 [groups], mins u8 [groups]: where they go
 */
export function fitScales(
  targets: usize,
  weights: usize,
  superScale: usize,
  superMin: usize,
  scales: usize,
  mins: usize,
): void {
  const groups = format.blockWeights / format.groupWeights;
  const bytes = (<usize>format.groupWeights) << 2;
  for (let group = 0; group < groups; group++) {
    const at = <usize>group * bytes;
    fitGroup(targets + at, weights + at);
    store<f32>(groupScales + ((<usize>group) << 2), fittedScale);
    store<f32>(groupMins + ((<usize>group) << 2), -fittedOffset);
  }
  const scale = shareScale(groupScales, groups, format.scaleMin, format.scaleMax);
  store<f32>(superScale, scale);
  for (let group = 0; group < groups; group++) {
    const whole = wholeOf(load<f32>(groupScales + ((<usize>group) << 2)), scale, format.scaleMin, format.scaleMax);
    store<i16>(scales + ((<usize>group) << 1), <i16>whole);
  }
  let min: f32 = 0;
  if (format.minMax > 0) {
    const lowest = format.minMax == 1 ? 1 : 0;
    min = shareScale(groupMins, groups, lowest, format.minMax);
    store<f32>(superMin, min);
    for (let group = 0; group < groups; group++) {
      const whole = wholeOf(load<f32>(groupMins + ((<usize>group) << 2)), min, lowest, format.minMax);
      store<u8>(mins + <usize>group, <u8>whole);
    }
  }
  if (format.scaleMin == format.scaleMax) return;
  for (let group = 0; group < groups; group++) {
    const at = <usize>group * bytes;
    adjustGroup(targets + at, weights + at, scale, min, scales + ((<usize>group) << 1), mins + <usize>group);
  }
}

/** The float16 that takes the largest value to the end of the range that reaches farther. */
function shareScale(values: usize, count: i32, lowest: i32, highest: i32): f32 {
  let extreme: f32 = 0;
  for (let i = 0; i < count; i++) {
    const value = load<f32>(values + ((<usize>i) << 2));
    if (abs<f32>(value) > abs<f32>(extreme)) extreme = value;
  }
  const reach = -lowest > highest ? lowest : highest;
  const wanted = extreme / <f32>reach;
  const scale = nearestFloat16(wanted);
  if (scale != 0 || lowest == highest || extreme == 0) return scale;
  return wanted > 0 ? FLOAT16_MIN : -FLOAT16_MIN;
}

function wholeOf(value: f32, scale: f32, lowest: i32, highest: i32): i32 {
  if (lowest == highest) return lowest;
  if (scale == 0) return 0;
  return <i32>max<f32>(<f32>lowest, min<f32>(<f32>highest, nearest<f32>(value / scale)));
}

/** Keeps whichever whole numbers next to a group's scale and min leave the least error. */
function adjustGroup(
  targets: usize,
  weights: usize,
  superScale: f32,
  superMin: f32,
  scaleAt: usize,
  minAt: usize,
): void {
  const hasMins = format.minMax > 0;
  const scaleNow = <i32>load<i16>(scaleAt);
  const minNow = hasMins ? <i32>load<u8>(minAt) : 0;
  let least = errorOf(targets, weights, superScale * <f32>scaleNow, -superMin * <f32>minNow);
  for (let s = max(format.scaleMin, scaleNow - 1); s <= min(format.scaleMax, scaleNow + 1); s++) {
    for (let m = max(0, minNow - 1); m <= min(format.minMax, minNow + 1); m++) {
      const error = errorOf(targets, weights, superScale * <f32>s, -superMin * <f32>m);
      if (!(error < least * CLEARLY)) continue;
      least = error;
      store<i16>(scaleAt, <i16>s);
      if (hasMins) store<u8>(minAt, <u8>m);
    }
  }
}
