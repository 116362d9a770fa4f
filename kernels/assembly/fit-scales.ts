// First scales of a block; see fit-scales.ts of the host for what is tried and why.
import * as format from "./format";
import { fromFloat16, toFloat16 } from "./float16";

const STRETCHES: i32 = 7;
/** For each end of a range whose ends are free. */
const END_STRETCHES: i32 = 6;
/** Scales and offsets of a block's groups before they are rounded [16] each. */
const groupScales: usize = memory.data(64, 16);
const groupOffsets: usize = memory.data(64, 16);

/** Of the range that is tried; 8-bit codes are fine enough that clipping never pays, but another step may suit better. */
function stretch(index: i32, isFine: bool): f32 {
  return isFine ? <f32>0.985 + <f32>0.005 * <f32>index : <f32>0.7 + <f32>0.075 * <f32>index;
}

/**
 * Sets the scales of one block.
 *
 * @param targets [blockWeights] f32
 * @param weights [blockWeights] f32
 * @param superScale f32, superMin f32, scales [groups] i16, mins [groups] u8: where they go
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
    if (format.minMax > 0) fitWithOffset(targets + at, weights + at, group);
    else fitWithoutOffset(targets + at, weights + at, group);
  }
  store<f32>(superScale, shareScale(groupScales, groups, format.scaleMin, format.scaleMax));
  const scale = load<f32>(superScale);
  for (let group = 0; group < groups; group++) {
    const whole = wholeOf(load<f32>(groupScales + ((<usize>group) << 2)), scale, format.scaleMin, format.scaleMax);
    store<i16>(scales + ((<usize>group) << 1), <i16>whole);
  }
  if (format.minMax == 0) return;
  const lowest = format.minMax == 1 ? 1 : 0;
  store<f32>(superMin, shareScale(groupOffsets, groups, lowest, format.minMax));
  const min = load<f32>(superMin);
  for (let group = 0; group < groups; group++) {
    const whole = wholeOf(load<f32>(groupOffsets + ((<usize>group) << 2)), min, lowest, format.minMax);
    store<u8>(mins + <usize>group, <u8>whole);
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
  return fromFloat16(toFloat16(extreme / <f32>reach));
}

function wholeOf(value: f32, scale: f32, lowest: i32, highest: i32): i32 {
  if (lowest == highest) return lowest;
  if (scale == 0) return 0;
  return <i32>max<f32>(<f32>lowest, min<f32>(<f32>highest, nearest<f32>(value / scale)));
}

function fitWithoutOffset(targets: usize, weights: usize, group: i32): void {
  const bytes = (<usize>format.groupWeights) << 2;
  let extreme: f32 = 0;
  for (let i: usize = 0; i < bytes; i += 4) {
    const target = load<f32>(targets + i);
    if (abs<f32>(target) > abs<f32>(extreme)) extreme = target;
  }
  let best: f32 = 0;
  let bestGain: f32 = 0;
  const isFine = format.levelCount > 64;
  if (extreme != 0) {
    for (let side = 0; side < 2; side++) {
      const end = side == 0 ? format.lowestLevel : format.highestLevel;
      for (let k = 0; k < STRETCHES; k++) {
        const inverse: f32 = 1 / ((extreme / end) * stretch(k, isFine));
        let cross: f32 = 0;
        let power: f32 = 0;
        if (format.isEven) {
          let sumCross = f32x4.splat(0);
          let sumPower = f32x4.splat(0);
          for (let i: usize = 0; i < bytes; i += 16) {
            const target = v128.load(targets + i);
            const level = evenLevels(f32x4.mul(target, f32x4.splat(inverse)));
            const weighted = f32x4.mul(v128.load(weights + i), level);
            sumCross = f32x4.add(sumCross, f32x4.mul(weighted, target));
            sumPower = f32x4.add(sumPower, f32x4.mul(weighted, level));
          }
          cross = total(sumCross);
          power = total(sumPower);
        } else {
          for (let i: usize = 0; i < bytes; i += 4) {
            const target = load<f32>(targets + i);
            const level = format.levelOf(format.codeOf(target * inverse));
            const weighted = load<f32>(weights + i) * level;
            cross += weighted * target;
            power += weighted * level;
          }
        }
        const gain = power > 0 ? (cross * cross) / power : 0;
        if (gain <= bestGain) continue;
        bestGain = gain;
        best = cross / power;
      }
    }
  }
  store<f32>(groupScales + ((<usize>group) << 2), best);
}

function evenLevels(values: v128): v128 {
  return f32x4.max(f32x4.splat(format.lowestLevel), f32x4.min(f32x4.splat(format.highestLevel), f32x4.nearest(values)));
}

/** The offset is kept with its sign turned, as what is subtracted. */
function fitWithOffset(targets: usize, weights: usize, group: i32): void {
  const bytes = (<usize>format.groupWeights) << 2;
  const isSigned = format.minMax == 1;
  const top = format.highestLevel;
  let low: f32 = isSigned ? load<f32>(targets) : 0;
  let high: f32 = low;
  let sumW: f32 = 0;
  let sumT: f32 = 0;
  let sumT2: f32 = 0;
  for (let i: usize = 0; i < bytes; i += 4) {
    const target = load<f32>(targets + i);
    const weight = load<f32>(weights + i);
    low = min<f32>(low, target);
    high = max<f32>(high, target);
    sumW += weight;
    sumT += weight * target;
    sumT2 += weight * target * target;
  }
  let bestScale: f32 = 0;
  let bestOffset: f32 = low;
  let bestError: f32 = f32.MAX_VALUE;
  const middle: f32 = isSigned ? (low + high) * <f32>0.5 : 0;
  const half: f32 = isSigned ? (high - low) * <f32>0.5 : 0;
  const tries = high > low ? END_STRETCHES * END_STRETCHES : 0;
  for (let k = 0; k < tries; k++) {
    const highStretch = <f32>0.6 + <f32>0.1 * <f32>(k / END_STRETCHES);
    const lowStretch = <f32>0.6 + <f32>0.1 * <f32>(k % END_STRETCHES);
    const from: f32 = isSigned ? middle - half * lowStretch : low * lowStretch;
    const first: f32 = ((isSigned ? middle + half * highStretch : high * highStretch) - from) / top;
    const inverse: f32 = 1 / first;
    let vectorL = f32x4.splat(0);
    let vectorL2 = f32x4.splat(0);
    let vectorTL = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      const target = v128.load(targets + i);
      const level = evenLevels(f32x4.mul(f32x4.sub(target, f32x4.splat(from)), f32x4.splat(inverse)));
      const weighted = f32x4.mul(v128.load(weights + i), level);
      vectorL = f32x4.add(vectorL, weighted);
      vectorL2 = f32x4.add(vectorL2, f32x4.mul(weighted, level));
      vectorTL = f32x4.add(vectorTL, f32x4.mul(weighted, target));
    }
    const sumL = total(vectorL);
    const sumL2 = total(vectorL2);
    const sumTL = total(vectorTL);
    const determinant = sumW * sumL2 - sumL * sumL;
    if (!(determinant > 0)) continue;
    let scale = (sumW * sumTL - sumT * sumL) / determinant;
    let offset = (sumL2 * sumT - sumL * sumTL) / determinant;
    if (!isSigned && offset > 0) {
      scale = sumTL / sumL2;
      offset = 0;
    }
    if (!isSigned && scale < 0) continue;
    const explained: f32 = <f32>2 * (scale * sumTL + offset * sumT);
    const power = scale * scale * sumL2 + 2 * scale * offset * sumL + offset * offset * sumW;
    const error = sumT2 - explained + power;
    if (error >= bestError) continue;
    bestError = error;
    bestScale = scale;
    bestOffset = offset;
  }
  store<f32>(groupScales + ((<usize>group) << 2), bestScale);
  store<f32>(groupOffsets + ((<usize>group) << 2), -bestOffset);
}

/** The sum of four lanes. */
function total(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}
