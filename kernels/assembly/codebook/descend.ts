// Descent on a rounded row; see descent.ts of the host.
import { nearestFloat16 } from "../float16";
import { dot, dot4, subtractScaled4 } from "../vector";
import { BLOCK_WEIGHTS, SCALE_MAX, SIGN_WEIGHTS, codeLength, groupWeights, oddOf } from "./book";
import { POINT, SLOPE, descend as descendEight, keep, place } from "./eight-search";
import { FORM_BYTES } from "./form-layout";
import { sumOf } from "./lanes";
import { columns, descentWork, direction, eightWork, fullForms, hessian } from "./problem";

const GAIN_MIN: f32 = 5e-3;

/** Where `descentWork` has steps of eight weights, f32 [8], and two groups at one scale each, the trial and the best. */
const STEPS: usize = 0;
const TRIALS: usize = 32;
const TRIAL_BYTES: usize = 160;
/** In each: what is added to each q, f32 [32], first, then codewords u16 [8], then signs u8 [4]. */
const TRIAL_CODES: usize = 128;
const TRIAL_SIGNS: usize = 144;
/** (w − q) H of the group's columns after a trial's moves, f32 [32]. */
const TRIAL_GRADIENT: usize = TRIALS + 2 * TRIAL_BYTES;

let trial: usize = 0;
let best: usize = 0;

/** Improves one row in place, sweep after sweep until nothing moves; errors and gradients follow. */
export function descend(
  sweeps: i32,
  error: usize,
  gradient: usize,
  codes: usize,
  signs: usize,
  scales: usize,
  superScales: usize,
): void {
  const groups = BLOCK_WEIGHTS / groupWeights;
  trial = descentWork + TRIALS;
  best = trial + TRIAL_BYTES;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    let hasMoved = false;
    const loss = dot(error, gradient, columns);
    for (let block = 0; block < columns / BLOCK_WEIGHTS; block++) {
      const superScale = superScales + ((<usize>block) << 2);
      if (load<f32>(superScale) == 0) continue;
      if (refitSuperScale(block, loss, error, gradient, codes, signs, scales, superScale)) hasMoved = true;
      const step = load<f32>(superScale);
      for (let group = block * groups; group < (block + 1) * groups; group++) {
        if (improveGroup(group, step, error, gradient, codes, signs, scales + <usize>group)) hasMoved = true;
      }
    }
    if (!hasMoved) break;
  }
}

function improveGroup(
  group: i32,
  superScale: f32,
  error: usize,
  gradient: usize,
  codes: usize,
  signs: usize,
  scale: usize,
): bool {
  const start = group * groupWeights;
  const own = gradient + ((<usize>start) << 2);
  const ownCodes = codes + ((<usize>(start / codeLength)) << 1);
  const ownSigns = signs + <usize>(start / SIGN_WEIGHTS);
  const present = <i32>load<u8>(scale);
  const step = superScale * oddOf(present);
  let least = tryScale(start, own, ownCodes, ownSigns, step, step);
  swap();
  let bestScale = present;
  const next = present + scaleDirection(own, ownCodes, ownSigns);
  if (next >= 0 && next <= SCALE_MAX) {
    const change = tryScale(start, own, ownCodes, ownSigns, step, superScale * oddOf(next));
    if (change < least) {
      least = change;
      bestScale = next;
      swap();
    }
  }
  if (!(least < 0)) return false;
  store<u8>(scale, <u8>bestScale);
  memory.copy(ownCodes, best + TRIAL_CODES, (<usize>(groupWeights / codeLength)) << 1);
  memory.copy(ownSigns, best + TRIAL_SIGNS, <usize>(groupWeights / SIGN_WEIGHTS));
  moveRow(error, gradient, start, best, groupWeights, 1);
  return true;
}

function swap(): void {
  const other = trial;
  trial = best;
  best = other;
}

/** 1 when the loss falls as the group grows, else −1. */
function scaleDirection(gradient: usize, codes: usize, signs: usize): i32 {
  let slope: f32 = 0;
  for (let offset = 0; offset < groupWeights; offset += SIGN_WEIGHTS) {
    place(signs + <usize>(offset >> 3), codes + ((<usize>(offset / codeLength)) << 1));
    slope += dot(eightWork + POINT, gradient + ((<usize>offset) << 2), SIGN_WEIGHTS);
  }
  return slope > 0 ? 1 : -1;
}

/** Rounds a group anew at another step, or the same, into `trial`. @returns what the loss changes by */
function tryScale(start: i32, gradient: usize, codes: usize, signs: usize, before: f32, step: f32): f32 {
  const bytes = (<usize>groupWeights) << 2;
  const own = descentWork + TRIAL_GRADIENT;
  const point = eightWork + POINT;
  const slope = eightWork + SLOPE;
  const steps = descentWork + STEPS;
  memory.copy(own, gradient, bytes);
  memory.fill(trial, 0, bytes);
  if (step != before) {
    const grown = f32x4.splat(step - before);
    for (let offset = 0; offset < groupWeights; offset += SIGN_WEIGHTS) {
      place(signs + <usize>(offset >> 3), codes + ((<usize>(offset / codeLength)) << 1));
      v128.store(steps, f32x4.mul(grown, v128.load(point)));
      v128.store(steps, f32x4.mul(grown, v128.load(point, 16)), 16);
      moveTrial(start, offset);
    }
  }
  const inverse = f32x4.splat(-1 / step);
  const scale = f32x4.splat(step);
  for (let offset = 0; offset < groupWeights; offset += SIGN_WEIGHTS) {
    const at = (<usize>offset) << 2;
    place(signs + <usize>(offset >> 3), codes + ((<usize>(offset / codeLength)) << 1));
    v128.store(slope, f32x4.mul(v128.load(own + at), inverse));
    v128.store(slope, f32x4.mul(v128.load(own + at, 16), inverse), 16);
    const low = v128.load(point);
    const high = v128.load(point, 16);
    const hasMoved = descendEight(fullForms + <usize>((start + offset) >> 3) * FORM_BYTES);
    keep(trial + TRIAL_SIGNS + <usize>(offset >> 3), trial + TRIAL_CODES + ((<usize>(offset / codeLength)) << 1));
    if (!hasMoved) continue;
    v128.store(steps, f32x4.mul(scale, f32x4.sub(v128.load(point), low)));
    v128.store(steps, f32x4.mul(scale, f32x4.sub(v128.load(point, 16), high)), 16);
    moveTrial(start, offset);
  }
  // of e H eᵀ along a straight line: minus the step times the sum of the gradients at both ends
  return -dot(trial, gradient, groupWeights) - dot(trial, own, groupWeights);
}

/** Adds `STEPS` to eight q of the trial. */
function moveTrial(start: i32, offset: i32): void {
  const row = (<usize>columns) << 2;
  const steps = descentWork + STEPS;
  const own = descentWork + TRIAL_GRADIENT;
  const moves = trial + ((<usize>offset) << 2);
  v128.store(moves, f32x4.add(v128.load(moves), v128.load(steps)));
  v128.store(moves, f32x4.add(v128.load(moves, 16), v128.load(steps, 16)), 16);
  const rows = hessian + <usize>(start + offset) * row + ((<usize>start) << 2);
  subtractFour(own, steps, rows, row, groupWeights);
  subtractFour(own, steps + 16, rows + 4 * row, row, groupWeights);
}

/** y −= f₀ x₀ + f₁ x₁ + f₂ x₂ + f₃ x₃, unless all factors are zero. */
function subtractFour(y: usize, factors: usize, x: usize, stride: usize, count: i32): void {
  if (!v128.any_true(f32x4.ne(v128.load(factors), f32x4.splat(0)))) return;
  const f0 = load<f32>(factors);
  const f1 = load<f32>(factors, 4);
  subtractScaled4(y, f0, f1, load<f32>(factors, 8), load<f32>(factors, 12), x, stride, count);
}

/** Adds `step` times the moves to the q from `start` on. */
function moveRow(error: usize, gradient: usize, start: i32, moves: usize, count: i32, step: f32): void {
  const row = (<usize>columns) << 2;
  const steps = descentWork + STEPS;
  for (let j = 0; j < count; j += 4) {
    const at = error + ((<usize>(start + j)) << 2);
    const four = f32x4.mul(f32x4.splat(step), v128.load(moves + ((<usize>j) << 2)));
    v128.store(steps, four);
    v128.store(at, f32x4.sub(v128.load(at), four));
    subtractFour(gradient, steps, hessian + <usize>(start + j) * row, row, columns);
  }
}

/** Moves a superscale to the float16 nearest to its best value, where that gains enough. */
function refitSuperScale(
  block: i32,
  loss: f32,
  error: usize,
  gradient: usize,
  codes: usize,
  signs: usize,
  scales: usize,
  superScale: usize,
): bool {
  const start = block * BLOCK_WEIGHTS;
  for (let offset = 0; offset < BLOCK_WEIGHTS; offset += SIGN_WEIGHTS) {
    const column = start + offset;
    place(signs + <usize>(column >> 3), codes + ((<usize>(column / codeLength)) << 1));
    const odd = f32x4.splat(oddOf(load<u8>(scales + <usize>(column / groupWeights))));
    const at = direction + ((<usize>offset) << 2);
    v128.store(at, f32x4.mul(odd, v128.load(eightWork + POINT)));
    v128.store(at, f32x4.mul(odd, v128.load(eightWork + POINT, 16)), 16);
  }
  const slope = dot(direction, gradient + ((<usize>start) << 2), BLOCK_WEIGHTS);
  const bend = curvature(start);
  const present = load<f32>(superScale);
  const wanted = nearestFloat16(present + slope / bend);
  const step = wanted - present;
  const gain = step * (2 * slope - step * bend);
  if (!(wanted > 0) || !(gain > GAIN_MIN * loss)) return false;
  store<f32>(superScale, wanted);
  moveRow(error, gradient, start, direction, BLOCK_WEIGHTS, step);
  return true;
}

/** v H vᵀ of the direction v, from the half of H below its diagonal, four rows at a time. */
function curvature(start: i32): f32 {
  const row = (<usize>columns) << 2;
  const products = descentWork + STEPS;
  let sum: f32 = 0;
  for (let j = 0; j < BLOCK_WEIGHTS; j += 4) {
    const at = (<usize>j) << 2;
    const rows = hessian + <usize>(start + j) * row + ((<usize>start) << 2);
    const own = v128.load(direction + at);
    dot4(rows, row, direction, j, products, 4);
    const before = f32x4.mul(f32x4.splat(2), v128.load(products));
    const corner = rows + at;
    const inside = f32x4.add(
      f32x4.add(
        f32x4.mul(f32x4.splat(f32x4.extract_lane(own, 0)), v128.load(corner)),
        f32x4.mul(f32x4.splat(f32x4.extract_lane(own, 1)), v128.load(corner + row)),
      ),
      f32x4.add(
        f32x4.mul(f32x4.splat(f32x4.extract_lane(own, 2)), v128.load(corner + 2 * row)),
        f32x4.mul(f32x4.splat(f32x4.extract_lane(own, 3)), v128.load(corner + 3 * row)),
      ),
    );
    sum += sumOf(f32x4.mul(own, f32x4.add(before, inside)));
  }
  return sum;
}
