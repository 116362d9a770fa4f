// Four numbers at a time: sums and least ones across.
import { halves } from "./book";

export function sumOf(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

export function leastOf(v: v128): f32 {
  const pairs = f32x4.pmin(v, i32x4.shuffle(v, v, 2, 3, 0, 1));
  return min(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}

/** The first lane that holds a value. */
export function laneOf(v: v128, value: f32): i32 {
  return ctz(i32x4.bitmask(f32x4.eq(v, f32x4.splat(value))));
}

/**
 * The first half with the least bound.
 *
 * @param least of each lane, and the four that it is in
 */
export function leastHalfOf(least: v128, fours: v128): i32 {
  const lane = laneOf(least, leastOf(least));
  let four = i32x4.extract_lane(fours, 0);
  if (lane == 1) four = i32x4.extract_lane(fours, 1);
  else if (lane == 2) four = i32x4.extract_lane(fours, 2);
  else if (lane == 3) four = i32x4.extract_lane(fours, 3);
  return min((four << 2) + (lane & 3), halves - 1); // what pads the last four repeats its last half
}
