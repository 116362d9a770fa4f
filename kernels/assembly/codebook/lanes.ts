// Across the numbers of a vector, or of a few: sums and the least.

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

/** Bit i set: the i-th of sixteen numbers is at most a limit. */
export function atMost(at: usize, limit: f32): i32 {
  const limits = f32x4.splat(limit);
  const low = i16x8.narrow_i32x4_s(f32x4.le(v128.load(at), limits), f32x4.le(v128.load(at, 16), limits));
  const high = i16x8.narrow_i32x4_s(f32x4.le(v128.load(at, 32), limits), f32x4.le(v128.load(at, 48), limits));
  return i8x16.bitmask(i8x16.narrow_i16x8_s(low, high));
}
