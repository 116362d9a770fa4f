// Coordinate descent on the codes and scales of one row: each step is the best along one coordinate or direction, and is
// taken only when it lowers (w − q) H (w − q)ᵀ.
import * as format from "./format";
import { setDirection, stepHalf, stepWhole } from "./line-step";
import { columns, hessian } from "./problem";
import { subtractScaled } from "./vector";

/** Sweeps over codes and over scales, `rounds` times or until no code changes. Errors and gradients follow. */
export function descend(
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
    const moved = sweepCodes(error, gradient, codes, superScales, scales);
    refitScales(error, gradient, codes, superScales, superMins, scales, mins);
    if (moved == 0 && round > 0) break;
  }
}

/** @returns how many codes changed */
function sweepCodes(error: usize, gradient: usize, codes: usize, superScales: usize, scales: usize): i32 {
  const row = (<usize>columns) << 2;
  const perBlock = format.blockWeights / format.groupWeights;
  const groups = columns / format.groupWeights;
  let moved = 0;
  for (let g = 0; g < groups; g++) {
    const block = (<usize>(g / perBlock)) << 2;
    const scale = load<f32>(superScales + block) * <f32>load<i16>(scales + ((<usize>g) << 1));
    if (scale == 0) continue;
    const inverse: f32 = 1 / scale;
    const first = g * format.groupWeights;
    for (let j = first; j < first + format.groupWeights; j++) {
      const at = (<usize>j) << 2;
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
    const superScale = superScales + ((<usize>b) << 2);
    const superMin = superMins + ((<usize>b) << 2);
    for (let g = b * perBlock; g < (b + 1) * perBlock; g++) {
      const first = g * weights;
      const scale = scales + ((<usize>g) << 1);
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
      const whole = <f32>load<i16>(scales + ((<usize>(j / weights)) << 1));
      setDirection(j, whole * format.levelOf(load<u8>(codes + <usize>j)));
    }
    store<f32>(superScale, stepHalf(error, gradient, start, format.blockWeights, load<f32>(superScale)));
    if (format.minMax == 0) continue;
    for (let j = start; j < start + format.blockWeights; j++) {
      setDirection(j, -(<f32>load<u8>(mins + <usize>(j / weights))));
    }
    store<f32>(superMin, stepHalf(error, gradient, start, format.blockWeights, load<f32>(superMin)));
  }
}
