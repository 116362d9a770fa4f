// Error feedback, eight columns at a time; see feed-back.ts of the host.
import { dot4 } from "../vector";
import { BLOCK_WEIGHTS, SCALE_MAX, SIGN_WEIGHTS, codeLength, groupWeights, oddOf } from "./book";
import { POINT, SLOPE, keep, round } from "./eight-search";
import { FORM_BYTES } from "./form-layout";
import { sumOf } from "./lanes";
import { columns, conditionalForms, eightWork, feedBackWork, upper } from "./problem";
import { startScales } from "./starting-scales";

const SCALE_STEPS_MAX: i32 = 3;

/** Where `feedBackWork` has the group's targets after the errors before it, f32 [32], and those of eight, f32 [8]. */
const BASE: usize = 0;
const TARGET: usize = 128;
/** Two groups at one scale each, the trial and the best. */
const TRIALS: usize = 160;
const TRIAL_BYTES: usize = 160;
/** In each: w − q f32 [32] first, then codewords u16 [8], then signs u8 [4]. */
const TRIAL_CODES: usize = 128;
const TRIAL_SIGNS: usize = 144;

let trial: usize = 0;
let best: usize = 0;

/**
 * Rounds one block of a row.
 *
 * @param weights the row; error: w − q of the row, known before the block, written in it
 * @param targets f32 [256] what the block's weights should become after the errors before the block
 */
export function roundBlock(
  block: i32,
  weights: usize,
  targets: usize,
  error: usize,
  codes: usize,
  signs: usize,
  scales: usize,
  superScales: usize,
): void {
  const row = (<usize>columns) << 2;
  const from = block * BLOCK_WEIGHTS;
  const fromAt = (<usize>from) << 2;
  const base = feedBackWork + BASE;
  trial = feedBackWork + TRIALS;
  best = trial + TRIAL_BYTES;
  const superScale = superScales + ((<usize>block) << 2);
  startScales(block, targets, superScale, scales + <usize>(from / groupWeights));
  for (let start = from; start < from + BLOCK_WEIGHTS; start += groupWeights) {
    const inside = (<usize>(start - from)) << 2;
    for (let j = 0; j < groupWeights; j += 4) {
      const at = base + ((<usize>j) << 2);
      dot4(upper + <usize>(start + j) * row + fromAt, row, error + fromAt, start - from, at, 4);
      v128.store(at, f32x4.add(v128.load(at), v128.load(targets + inside + ((<usize>j) << 2))));
    }
    const scale = scales + <usize>(start / groupWeights);
    const first = weights + ((<usize>start) << 2);
    store<u8>(scale, <u8>chooseScale(first, start, load<f32>(superScale), load<u8>(scale)));
    memory.copy(error + ((<usize>start) << 2), best, (<usize>groupWeights) << 2);
    memory.copy(
      codes + ((<usize>(start / codeLength)) << 1),
      best + TRIAL_CODES,
      (<usize>(groupWeights / codeLength)) << 1,
    );
    memory.copy(signs + <usize>(start / SIGN_WEIGHTS), best + TRIAL_SIGNS, <usize>(groupWeights / SIGN_WEIGHTS));
  }
}

function swap(): void {
  const other = trial;
  trial = best;
  best = other;
}

/** Leaves the best trial in `best`. @returns its scale */
function chooseScale(weights: usize, start: i32, superScale: f32, guess: i32): i32 {
  let least = roundGroup(weights, start, superScale * oddOf(guess), f32.MAX_VALUE);
  swap();
  if (superScale == 0) return guess;
  let scale = guess;
  for (let direction = 1; direction >= -1; direction -= 2) {
    for (let step = 1; step <= SCALE_STEPS_MAX; step++) {
      const candidate = guess + direction * step;
      if (candidate < 0 || candidate > SCALE_MAX) break;
      const loss = roundGroup(weights, start, superScale * oddOf(candidate), least);
      if (!(loss < least)) break;
      least = loss;
      scale = candidate;
      swap();
    }
    if (scale > guess) break;
  }
  return scale;
}

/** Rounds a group at one scale into `trial`. @returns its part of the row's loss, or something not below `bound` */
function roundGroup(weights: usize, start: i32, step: f32, bound: f32): f32 {
  const row = (<usize>columns) << 2;
  const base = feedBackWork + BASE;
  const target = feedBackWork + TARGET;
  const point = eightWork + POINT;
  const slope = eightWork + SLOPE;
  const steps = f32x4.splat(step);
  const inverse = f32x4.splat(step > 0 ? 1 / step : 0);
  const factors = upper + <usize>start * row + ((<usize>start) << 2);
  let loss: f32 = 0;
  for (let offset = 0; offset < groupWeights && loss < bound; offset += SIGN_WEIGHTS) {
    const at = (<usize>offset) << 2;
    let low = v128.load(base + at);
    let high = v128.load(base + at, 16);
    if (offset > 0) {
      const own = factors + <usize>offset * row;
      dot4(own, row, trial, offset, target, 4);
      dot4(own + 4 * row, row, trial, offset, target + 16, 4);
      low = f32x4.add(low, v128.load(target));
      high = f32x4.add(high, v128.load(target, 16));
    }
    v128.store(point, f32x4.mul(low, inverse));
    v128.store(point, f32x4.mul(high, inverse), 16);
    round(conditionalForms + <usize>((start + offset) >> 3) * FORM_BYTES);
    keep(trial + TRIAL_SIGNS + <usize>(offset >> 3), trial + TRIAL_CODES + ((<usize>(offset / codeLength)) << 1));
    const lowValue = f32x4.mul(steps, v128.load(point));
    const highValue = f32x4.mul(steps, v128.load(point, 16));
    v128.store(trial + at, f32x4.sub(v128.load(weights + at), lowValue));
    v128.store(trial + at, f32x4.sub(v128.load(weights + at, 16), highValue), 16);
    const cost = f32x4.add(
      f32x4.mul(f32x4.sub(lowValue, low), v128.load(slope)),
      f32x4.mul(f32x4.sub(highValue, high), v128.load(slope, 16)),
    );
    loss += step * sumOf(cost);
  }
  return loss;
}
