// The best step along a direction that several weights of a row move in together: a scale or an offset and what it
// multiplies. With the error e and the gradient g = e H, a step s along v costs s² v H vᵀ − 2 s v gᵀ.
import { nearestFloat16 } from "./float16";
import { columns, direction, hessian } from "./problem";
import { dot, subtractScaled4 } from "./vector";

export function setDirection(j: i32, value: f32): void {
  store<f32>(direction + ((<usize>j) << 2), value);
}

/** The best whole number along the direction, moved to; the present one where none is better. */
export function stepWhole(
  error: usize,
  gradient: usize,
  start: i32,
  count: i32,
  value: i32,
  lowest: i32,
  highest: i32,
): i32 {
  const slope = dot(direction + ((<usize>start) << 2), gradient + ((<usize>start) << 2), count);
  const bend = curvature(start, count);
  if (!(bend > 0)) return value;
  const best = nearest<f32>(<f32>value + slope / bend);
  const wanted = <i32>max<f32>(<f32>lowest, min<f32>(<f32>highest, best));
  const step = <f32>(wanted - value);
  if (!(step * (step * bend - 2 * slope) < 0)) return value;
  moveAlong(error, gradient, start, count, step);
  return wanted;
}

/** The float16 nearest to the best value along the direction, moved to where it is better. */
export function stepHalf(error: usize, gradient: usize, start: i32, count: i32, value: f32): f32 {
  const slope = dot(direction + ((<usize>start) << 2), gradient + ((<usize>start) << 2), count);
  const bend = curvature(start, count);
  if (!(bend > 0)) return value;
  const wanted = nearestFloat16(value + slope / bend);
  const step = wanted - value;
  if (!(step * (step * bend - 2 * slope) < 0)) return value;
  moveAlong(error, gradient, start, count, step);
  return wanted;
}

/** vᵀ H v for the direction v. */
function curvature(start: i32, count: i32): f32 {
  const row = (<usize>columns) << 2;
  const at = (<usize>start) << 2;
  let sum: f32 = 0;
  for (let j = start; j < start + count; j++) {
    const value = load<f32>(direction + ((<usize>j) << 2));
    if (value != 0) sum += value * dot(hessian + <usize>j * row + at, direction + at, count);
  }
  return sum;
}

function moveAlong(error: usize, gradient: usize, start: i32, count: i32, step: f32): void {
  const row = (<usize>columns) << 2;
  for (let j = start; j < start + count; j += 4) {
    const at = (<usize>j) << 2;
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
