// Rounds rows of a matrix to a type with one scale per group of weights: error feedback, then coordinate descent on codes,
// scales and block scales. The host's solve-scalar.ts is the same in plain TypeScript and says what is done and why.
import * as format from "./format";
import { fitScales } from "./fit-scales";
import { fromFloat16, toFloat16 } from "./float16";
import { dot, dot4, subtractScaled, subtractScaled4 } from "./vector";

export { allocate, mark, release } from "./memory";
export { levelsAddress, setFormat } from "./format";
export { factorize } from "./factorize";
export { retargetTile } from "./retarget";

let columns: i32 = 0;
let hessian: usize = 0;
let upper: usize = 0;
let diagonal: usize = 0;
/** Per row of the tile [4 × columns] each: w − q, what weights should become, (w − q) H. */
let errors: usize = 0;
let targets: usize = 0;
let gradients: usize = 0;
/** [columns] a direction to move along. */
let direction: usize = 0;

/** Rows that are rounded side by side, so that what they share is read once. */
const TILE: usize = 4;

/** Bytes of work memory for rows of `count`. */
export function workBytes(count: i32): usize {
  return <usize>count * 4 * (3 * TILE + 1);
}

/** Sets what the rows of a matrix share; arrays are f32, `upper` is Uᵀ. */
export function setProblem(count: i32, hessianAt: usize, upperAt: usize, diagonalAt: usize, work: usize): void {
  const row = <usize>count << 2;
  columns = count;
  hessian = hessianAt;
  upper = upperAt;
  diagonal = diagonalAt;
  errors = work;
  targets = errors + TILE * row;
  gradients = targets + TILE * row;
  direction = gradients + TILE * row;
}

/**
 * Rounds four rows; see `RowsState` for what is written. Without feedback the present codes and scales are the start.
 *
 * @param losses f32 [4]
 */
export function roundTile(
  weights: usize,
  rounds: i32,
  feedback: bool,
  codes: usize,
  superScales: usize,
  superMins: usize,
  scales: usize,
  mins: usize,
  losses: usize,
): void {
  const row = <usize>columns << 2;
  const blocks = <usize>(columns / format.blockWeights);
  const groups = <usize>(columns / format.groupWeights);
  const minBlocks = format.minMax > 0 ? blocks : 0;
  const minGroups = format.minMax > 0 ? groups : 0;
  if (feedback) feedBack(weights, codes, superScales, superMins, scales, mins);
  else measure(weights, codes, superScales, superMins, scales, mins);
  for (let j = 0; j < columns; j++) {
    dot4(errors, row, hessian + <usize>j * row, columns, gradients + (<usize>j << 2), row);
  }
  for (let r = 0; r < <i32>TILE; r++) {
    const at = <usize>r;
    descend(
      rounds,
      errors + at * row,
      gradients + at * row,
      codes + at * <usize>columns,
      superScales + ((at * blocks) << 2),
      superMins + ((at * minBlocks) << 2),
      scales + ((at * groups) << 1),
      mins + at * minGroups,
    );
    store<f32>(losses + (at << 2), max<f32>(0, dot(errors + at * row, gradients + at * row, columns)));
  }
}

/** w H wᵀ of four rows; `out` f32 [4]. */
export function powersTile(rows: usize, out: usize): void {
  const row = <usize>columns << 2;
  for (let j = 0; j < columns; j++) {
    dot4(rows, row, hessian + <usize>j * row, columns, gradients + (<usize>j << 2), row);
  }
  for (let r: usize = 0; r < TILE; r++) {
    store<f32>(out + (r << 2), dot(rows + r * row, gradients + r * row, columns));
  }
}

function feedBack(
  weights: usize,
  codes: usize,
  superScales: usize,
  superMins: usize,
  scales: usize,
  mins: usize,
): void {
  const row = <usize>columns << 2;
  const block = format.blockWeights;
  const blocks = columns / block;
  const groups = columns / format.groupWeights;
  const perBlock = block / format.groupWeights;
  for (let b = 0; b < blocks; b++) {
    const start = b * block;
    for (let j = start; j < start + block; j++) {
      const at = <usize>j << 2;
      dot4(errors, row, upper + <usize>j * row, start, targets + at, row);
      for (let r: usize = 0; r < TILE; r++) {
        const target = targets + r * row + at;
        store<f32>(target, load<f32>(target) + load<f32>(weights + r * row + at));
      }
    }
    for (let r = 0; r < <i32>TILE; r++) {
      const rowAt = <usize>r * row;
      const blockAt = <usize>(r * blocks + b);
      const groupAt = <usize>(r * groups + b * perBlock);
      const hasMins = format.minMax > 0;
      fitScales(
        targets + rowAt + (<usize>start << 2),
        diagonal + (<usize>start << 2),
        superScales + (blockAt << 2),
        hasMins ? superMins + (blockAt << 2) : 0,
        scales + (groupAt << 1),
        hasMins ? mins + groupAt : 0,
      );
      const superScale = load<f32>(superScales + (blockAt << 2));
      const superMin = hasMins ? load<f32>(superMins + (blockAt << 2)) : 0;
      for (let g = 0; g < perBlock; g++) {
        const group = groupAt + <usize>g;
        const scale = superScale * <f32>load<i16>(scales + (group << 1));
        const offset = hasMins ? -superMin * <f32>load<u8>(mins + group) : 0;
        const inverse: f32 = scale != 0 ? 1 / scale : 0;
        const first = start + g * format.groupWeights;
        for (let j = first; j < first + format.groupWeights; j++) {
          const at = <usize>j << 2;
          const inside = dot(
            errors + rowAt + (<usize>start << 2),
            upper + <usize>j * row + (<usize>start << 2),
            j - start,
          );
          const target = load<f32>(targets + rowAt + at) + inside;
          const code = format.codeOf((target - offset) * inverse);
          store<u8>(codes + <usize>(r * columns + j), <u8>code);
          store<f32>(
            errors + rowAt + at,
            load<f32>(weights + rowAt + at) - (scale * format.levelOf(code) + offset),
          );
        }
      }
    }
  }
}

/** The errors of codes and scales that are there. */
function measure(
  weights: usize,
  codes: usize,
  superScales: usize,
  superMins: usize,
  scales: usize,
  mins: usize,
): void {
  const blocks = columns / format.blockWeights;
  const groups = columns / format.groupWeights;
  for (let r = 0; r < <i32>TILE; r++) {
    for (let j = 0; j < columns; j++) {
      const block = <usize>(r * blocks + j / format.blockWeights);
      const group = <usize>(r * groups + j / format.groupWeights);
      const scale = load<f32>(superScales + (block << 2)) * <f32>load<i16>(scales + (group << 1));
      const offset =
        format.minMax > 0 ? -load<f32>(superMins + (block << 2)) * <f32>load<u8>(mins + group) : 0;
      const at = <usize>(r * columns + j);
      const level = format.levelOf(load<u8>(codes + at));
      store<f32>(errors + (at << 2), load<f32>(weights + (at << 2)) - (scale * level + offset));
    }
  }
}

function descend(
  rounds: i32,
  error: usize,
  gradient: usize,
  codes: usize,
  superScales: usize,
  superMins: usize,
  scales: usize,
  mins: usize,
): void {
  for (let round = 0; round < rounds; round++) {
    const moved = sweepCodes(error, gradient, codes, superScales, superMins, scales, mins);
    refitScales(error, gradient, codes, superScales, superMins, scales, mins);
    if (moved == 0 && round > 0) break;
  }
}

/** @returns how many codes changed */
function sweepCodes(
  error: usize,
  gradient: usize,
  codes: usize,
  superScales: usize,
  superMins: usize,
  scales: usize,
  mins: usize,
): i32 {
  const row = <usize>columns << 2;
  const perBlock = format.blockWeights / format.groupWeights;
  const groups = columns / format.groupWeights;
  let moved = 0;
  for (let g = 0; g < groups; g++) {
    const block = <usize>(g / perBlock) << 2;
    const scale = load<f32>(superScales + block) * <f32>load<i16>(scales + (<usize>g << 1));
    if (scale == 0) continue;
    const inverse: f32 = 1 / scale;
    const first = g * format.groupWeights;
    for (let j = first; j < first + format.groupWeights; j++) {
      const at = <usize>j << 2;
      const code = <i32>load<u8>(codes + <usize>j);
      const level = format.levelOf(code);
      const ahead = load<f32>(gradient + at) / load<f32>(hessian + <usize>j * row + at);
      const better = format.codeOf(level + ahead * inverse);
      if (better == code) continue;
      const step = scale * (format.levelOf(better) - level);
      store<f32>(error + at, load<f32>(error + at) - step);
      subtractScaled(gradient, step, hessian + <usize>j * row, columns);
      store<u8>(codes + <usize>j, <u8>better);
      moved++;
    }
  }
  return moved;
}

function refitScales(
  error: usize,
  gradient: usize,
  codes: usize,
  superScales: usize,
  superMins: usize,
  scales: usize,
  mins: usize,
): void {
  const weights = format.groupWeights;
  const perBlock = format.blockWeights / weights;
  const blocks = columns / format.blockWeights;
  for (let b = 0; b < blocks; b++) {
    const start = b * format.blockWeights;
    const superScale = superScales + (<usize>b << 2);
    const superMin = superMins + (<usize>b << 2);
    for (let g = b * perBlock; g < (b + 1) * perBlock; g++) {
      const first = g * weights;
      const scale = scales + (<usize>g << 1);
      const min = mins + <usize>g;
      if (format.scaleMin < format.scaleMax) {
        for (let j = first; j < first + weights; j++) {
          setDirection(j, load<f32>(superScale) * format.levelOf(load<u8>(codes + <usize>j)));
        }
        const old = <i32>load<i16>(scale);
        store<i16>(scale, <i16>stepWhole(error, gradient, first, weights, old, format.scaleMin, format.scaleMax));
      }
      if (format.minMax > 1) {
        for (let j = first; j < first + weights; j++) setDirection(j, -load<f32>(superMin));
        store<u8>(min, <u8>stepWhole(error, gradient, first, weights, <i32>load<u8>(min), 0, format.minMax));
      }
    }
    for (let j = start; j < start + format.blockWeights; j++) {
      const whole = <f32>load<i16>(scales + (<usize>(j / weights) << 1));
      setDirection(j, whole * format.levelOf(load<u8>(codes + <usize>j)));
    }
    store<f32>(superScale, stepHalf(error, gradient, start, format.blockWeights, load<f32>(superScale)));
    if (format.minMax == 0) continue;
    for (let j = start; j < start + format.blockWeights; j++) {
      setDirection(j, -<f32>load<u8>(mins + <usize>(j / weights)));
    }
    store<f32>(superMin, stepHalf(error, gradient, start, format.blockWeights, load<f32>(superMin)));
  }
}

// @ts-ignore: decorator
@inline
function setDirection(j: i32, value: f32): void {
  store<f32>(direction + (<usize>j << 2), value);
}

/** The best whole number along the direction, moved to; the present one where none is better. */
function stepWhole(
  error: usize,
  gradient: usize,
  start: i32,
  count: i32,
  value: i32,
  lowest: i32,
  highest: i32,
): i32 {
  const slope = dot(direction + (<usize>start << 2), gradient + (<usize>start << 2), count);
  const bend = curvature(start, count);
  if (!(bend > 0)) return value;
  const best = nearest<f32>(<f32>value + slope / bend);
  const wanted = <i32>max<f32>(<f32>lowest, min<f32>(<f32>highest, best));
  const step = <f32>(wanted - value);
  if (step == 0 || step * (step * bend - 2 * slope) >= 0) return value;
  moveAlong(error, gradient, start, count, step);
  return wanted;
}

/** The float16 nearest to the best value along the direction, moved to where it is better. */
function stepHalf(error: usize, gradient: usize, start: i32, count: i32, value: f32): f32 {
  const slope = dot(direction + (<usize>start << 2), gradient + (<usize>start << 2), count);
  const bend = curvature(start, count);
  if (!(bend > 0)) return value;
  const wanted = fromFloat16(toFloat16(value + slope / bend));
  const step = wanted - value;
  if (!isFinite<f32>(wanted) || step * (step * bend - 2 * slope) >= 0) return value;
  moveAlong(error, gradient, start, count, step);
  return wanted;
}

/** vᵀ H v for the direction v. */
function curvature(start: i32, count: i32): f32 {
  const row = <usize>columns << 2;
  const at = <usize>start << 2;
  let sum: f32 = 0;
  for (let j = start; j < start + count; j++) {
    const value = load<f32>(direction + (<usize>j << 2));
    if (value != 0) sum += value * dot(hessian + <usize>j * row + at, direction + at, count);
  }
  return sum;
}

function moveAlong(error: usize, gradient: usize, start: i32, count: i32, step: f32): void {
  const row = <usize>columns << 2;
  for (let j = start; j < start + count; j += 4) {
    const at = <usize>j << 2;
    const f0 = step * load<f32>(direction + at);
    const f1 = step * load<f32>(direction + at, 4);
    const f2 = step * load<f32>(direction + at, 8);
    const f3 = step * load<f32>(direction + at, 12);
    store<f32>(error + at, load<f32>(error + at) - f0);
    store<f32>(error + at, load<f32>(error + at, 4) - f1, 4);
    store<f32>(error + at, load<f32>(error + at, 8) - f2, 8);
    store<f32>(error + at, load<f32>(error + at, 12) - f3, 12);
    subtractScaled4(gradient, f0, f1, f2, f3, hessian + <usize>j * row, row, columns);
  }
}
