// First scales of a block; see starting-scales.ts of the host.
import { nearestFloat16 } from "../float16";
import { BLOCK_WEIGHTS, SCALE_MAX, SIGN_WEIGHTS, codeLength, groupWeights, largest, oddOf, rms } from "./book";
import { POINT, SLOPE, round } from "./eight-search";
import { FORM_BYTES } from "./form-layout";
import { sumOf } from "./lanes";
import { conditionalForms, eightWork, stepsWork } from "./problem";

const STRETCHES: i32 = 7;
const RMS_SHARE: f32 = 0.6;
/** Where `stepsWork` has which groups have tried, u8 [16]; the steps, f32 [16], come first. */
const IS_TRIED: usize = 64;

function stretch(index: i32): f32 {
  switch (index) {
    case 0:
      return 1;
    case 1:
      return 0.83;
    case 2:
      return 1.2;
    case 3:
      return 0.91;
    case 4:
      return 1.1;
    case 5:
      return 0.75;
    default:
      return 1.32;
  }
}

/**
 * Writes a block's superscale and scales.
 *
 * @param block its number in the row
 * @param targets f32 [256]
 * @param superScale f32, scales u8 [groups]: where they go
 */
export function startScales(block: i32, targets: usize, superScale: usize, scales: usize): void {
  const groups = BLOCK_WEIGHTS / groupWeights;
  for (let group = 0; group < groups; group++) {
    setStep(group, guess(targets + ((<usize>(group * groupWeights)) << 2)));
    store<u8>(stepsWork + IS_TRIED + <usize>group, 0);
  }
  const groupsTried = codeLength == 8 ? 4 : 2;
  for (let turn = 0; turn < groupsTried; turn++) {
    const group = largestUntried(groups);
    store<u8>(stepsWork + IS_TRIED + <usize>group, 1);
    if (stepOf(group) > 0) setStep(group, bestStep(block, targets, group));
  }
  let most: f32 = 0;
  for (let group = 0; group < groups; group++) most = max(most, stepOf(group));
  const shared = nearestFloat16(most / oddOf(SCALE_MAX));
  store<f32>(superScale, shared);
  for (let group = 0; group < groups; group++) {
    const scale: f32 = shared > 0 ? floor<f32>((stepOf(group) / shared - 1) * <f32>0.5 + <f32>0.5) : 0;
    store<u8>(scales + <usize>group, <u8>max<f32>(0, min<f32>(<f32>SCALE_MAX, scale)));
  }
}

function stepOf(group: i32): f32 {
  return load<f32>(stepsWork + ((<usize>group) << 2));
}

function setStep(group: i32, step: f32): void {
  store<f32>(stepsWork + ((<usize>group) << 2), step);
}

function guess(targets: usize): f32 {
  let power: f32 = 0;
  let most: f32 = 0;
  for (let i: usize = 0; i < (<usize>groupWeights) << 2; i += 4) {
    const value = load<f32>(targets + i);
    power += value * value;
    most = max(most, abs<f32>(value));
  }
  return RMS_SHARE * (sqrt<f32>(power / <f32>groupWeights) / rms) + (1 - RMS_SHARE) * (most / largest);
}

function largestUntried(groups: i32): i32 {
  let group = -1;
  for (let other = 0; other < groups; other++) {
    if (load<u8>(stepsWork + IS_TRIED + <usize>other) != 0) continue;
    if (group < 0 || stepOf(other) > stepOf(group)) group = other;
  }
  return group;
}

function bestStep(block: i32, targets: usize, group: i32): f32 {
  const first = stepOf(group);
  let least = f32.MAX_VALUE;
  let best = first;
  for (let k = 0; k < STRETCHES; k++) {
    const step = first * stretch(k);
    const loss = lossAt(block, targets, group, step, least);
    if (!(loss < least)) continue;
    least = loss;
    best = step;
  }
  return best;
}

/** What rounding a group at a step costs, each eight for itself; or something not below `bound`. */
function lossAt(block: i32, targets: usize, group: i32, step: f32, bound: f32): f32 {
  const inverse = f32x4.splat(1 / step);
  const steps = f32x4.splat(step);
  const start = group * groupWeights;
  let loss: f32 = 0;
  for (let j = start; j < start + groupWeights && loss < bound; j += SIGN_WEIGHTS) {
    const low = v128.load(targets + ((<usize>j) << 2));
    const high = v128.load(targets + ((<usize>j) << 2), 16);
    v128.store(eightWork + POINT, f32x4.mul(low, inverse));
    v128.store(eightWork + POINT, f32x4.mul(high, inverse), 16);
    round(conditionalForms + <usize>((block * BLOCK_WEIGHTS + j) >> 3) * FORM_BYTES);
    const lowMiss = f32x4.sub(f32x4.mul(v128.load(eightWork + POINT), steps), low);
    const highMiss = f32x4.sub(f32x4.mul(v128.load(eightWork + POINT, 16), steps), high);
    const cost = f32x4.add(
      f32x4.mul(lowMiss, v128.load(eightWork + SLOPE)),
      f32x4.mul(highMiss, v128.load(eightWork + SLOPE, 16)),
    );
    loss += step * sumOf(cost);
  }
  return loss;
}
