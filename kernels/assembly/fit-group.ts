// The scale (and offset) of one group; see fit-group.ts of the host for what is tried and why.
import * as format from "./format";
import { total } from "./vector";

const STRETCHES: i32 = 7;
/** For each end of a range whose ends are free. */
const END_STRETCHES: i32 = 6;

/** How much less an error must be to count. */
export const CLEARLY: f32 = 0.9999;

/** What `fitGroup` found: target ≈ fittedScale · level + fittedOffset. */
export let fittedScale: f32 = 0;
export let fittedOffset: f32 = 0;

/**
 * Fits one group before anything is rounded but its codes.
 *
 * @param targets f32 [groupWeights]
 * @param weights f32 [groupWeights]
 */
export function fitGroup(targets: usize, weights: usize): void {
  if (format.minMax > 0) fitWithOffset(targets, weights);
  else fitWithoutOffset(targets, weights);
}

/**
 * What is left of a group's targets under a scale and an offset, each at its nearest level.
 */
export function errorOf(targets: usize, weights: usize, scale: f32, offset: f32): f32 {
  const bytes = (<usize>format.groupWeights) << 2;
  const inverse: f32 = scale != 0 ? 1 / scale : 0;
  if (!format.isEven) {
    let error: f32 = 0;
    for (let i: usize = 0; i < bytes; i += 4) {
      const wanted = load<f32>(targets + i) - offset;
      const left = wanted - scale * format.levelOf(format.codeOf(wanted * inverse));
      error += load<f32>(weights + i) * left * left;
    }
    return error;
  }
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const wanted = f32x4.sub(v128.load(targets + i), f32x4.splat(offset));
    const level = evenLevels(f32x4.mul(wanted, f32x4.splat(inverse)));
    const left = f32x4.sub(wanted, f32x4.mul(f32x4.splat(scale), level));
    sum = f32x4.add(sum, f32x4.mul(v128.load(weights + i), f32x4.mul(left, left)));
  }
  return total(sum);
}

function fitWithoutOffset(targets: usize, weights: usize): void {
  const bytes = (<usize>format.groupWeights) << 2;
  let extreme: f32 = 0;
  let bestError: f32 = 0;
  for (let i: usize = 0; i < bytes; i += 4) {
    const target = load<f32>(targets + i);
    if (abs<f32>(target) > abs<f32>(extreme)) extreme = target;
    bestError += load<f32>(weights + i) * target * target;
  }
  fittedScale = 0;
  fittedOffset = 0;
  if (extreme == 0) return;
  const isFine = format.levelCount > 64;
  for (let side = 0; side < 2; side++) {
    const end = side == 0 ? format.lowestLevel : format.highestLevel;
    for (let k = 0; k < STRETCHES; k++) {
      const first = (extreme / end) * stretch(k, isFine);
      const inverse: f32 = 1 / first;
      let sumR2: f32 = 0;
      let sumRL: f32 = 0;
      let sumL2: f32 = 0;
      if (format.isEven) {
        let vectorR2 = f32x4.splat(0);
        let vectorRL = f32x4.splat(0);
        let vectorL2 = f32x4.splat(0);
        for (let i: usize = 0; i < bytes; i += 16) {
          const target = v128.load(targets + i);
          const level = evenLevels(f32x4.mul(target, f32x4.splat(inverse)));
          const left = f32x4.sub(target, f32x4.mul(f32x4.splat(first), level));
          const weight = v128.load(weights + i);
          const weighted = f32x4.mul(weight, left);
          vectorR2 = f32x4.add(vectorR2, f32x4.mul(weighted, left));
          vectorRL = f32x4.add(vectorRL, f32x4.mul(weighted, level));
          vectorL2 = f32x4.add(vectorL2, f32x4.mul(weight, f32x4.mul(level, level)));
        }
        sumR2 = total(vectorR2);
        sumRL = total(vectorRL);
        sumL2 = total(vectorL2);
      } else {
        for (let i: usize = 0; i < bytes; i += 4) {
          const target = load<f32>(targets + i);
          const level = format.levelOf(format.codeOf(target * inverse));
          const left = target - first * level;
          const weight = load<f32>(weights + i);
          sumR2 += weight * left * left;
          sumRL += weight * left * level;
          sumL2 += weight * level * level;
        }
      }
      if (!(sumL2 > 0)) continue;
      const step = sumRL / sumL2;
      const error = sumR2 - step * sumRL;
      if (!(error < bestError * CLEARLY)) continue;
      bestError = error;
      fittedScale = first + step;
    }
  }
}

/** Of the range that is tried; 8-bit codes are fine enough that clipping never pays, but another step may suit better. */
function stretch(index: i32, isFine: bool): f32 {
  return isFine ? <f32>0.985 + <f32>0.005 * <f32>index : <f32>0.7 + <f32>0.075 * <f32>index;
}

function fitWithOffset(targets: usize, weights: usize): void {
  const bytes = (<usize>format.groupWeights) << 2;
  const isSigned = format.minMax == 1;
  const top = format.highestLevel;
  let low: f32 = isSigned ? load<f32>(targets) : 0;
  let high: f32 = low;
  let heaviest: f32 = 0;
  let pivot: f32 = 0;
  let sumW: f32 = 0;
  for (let i: usize = 0; i < bytes; i += 4) {
    const target = load<f32>(targets + i);
    const weight = load<f32>(weights + i);
    low = min<f32>(low, target);
    high = max<f32>(high, target);
    sumW += weight;
    if (weight > heaviest) {
      heaviest = weight;
      pivot = target;
    }
  }
  fittedScale = 0;
  fittedOffset = low;
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
    const pivotLevel = format.levelOf(format.codeOf((pivot - from) * inverse));
    let vectorL = f32x4.splat(0);
    let vectorL2 = f32x4.splat(0);
    let vectorR = f32x4.splat(0);
    let vectorR2 = f32x4.splat(0);
    let vectorRL = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      const target = v128.load(targets + i);
      const code = evenLevels(f32x4.mul(f32x4.sub(target, f32x4.splat(from)), f32x4.splat(inverse)));
      const level = f32x4.sub(code, f32x4.splat(pivotLevel));
      const left = f32x4.sub(f32x4.sub(target, f32x4.splat(pivot)), f32x4.mul(f32x4.splat(first), level));
      const weight = v128.load(weights + i);
      const weightedL = f32x4.mul(weight, level);
      const weightedR = f32x4.mul(weight, left);
      vectorL = f32x4.add(vectorL, weightedL);
      vectorL2 = f32x4.add(vectorL2, f32x4.mul(weightedL, level));
      vectorR = f32x4.add(vectorR, weightedR);
      vectorR2 = f32x4.add(vectorR2, f32x4.mul(weightedR, left));
      vectorRL = f32x4.add(vectorRL, f32x4.mul(weightedR, level));
    }
    const sumL = total(vectorL);
    const sumL2 = total(vectorL2);
    const sumR = total(vectorR);
    const sumRL = total(vectorRL);
    const determinant = sumW * sumL2 - sumL * sumL;
    let step: f32 = 0;
    let shift = sumR / sumW;
    if (determinant > 0) {
      step = (sumW * sumRL - sumR * sumL) / determinant;
      shift = (sumL2 * sumR - sumL * sumRL) / determinant;
    }
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
    const error = total(vectorR2) - 2 * (step * sumRL + shift * sumR) + power;
    if (!(error < bestError * CLEARLY)) continue;
    bestError = error;
    fittedScale = scale;
    fittedOffset = offset;
  }
}

/** The nearest of the whole levels. */
function evenLevels(values: v128): v128 {
  return f32x4.max(f32x4.splat(format.lowestLevel), f32x4.min(f32x4.splat(format.highestLevel), f32x4.nearest(values)));
}
