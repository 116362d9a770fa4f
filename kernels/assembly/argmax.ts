// Where the highest of many numbers stands: the search that every greedily chosen token waits for. Its plain twin is in
// src/support/argmax.ts.

/** Numbers per block: the highest of all is compared once a block, its place is looked for in one block alone. */
const BLOCK = 128;
const BLOCK_BYTES: usize = 512;

/**
 * @param start address of f32[count], a multiple of 16
 * @returns index of the first of the highest values, or -1 where nothing is a number; a NaN is never the highest
 */
export function argmax(start: usize, count: i32): i32 {
  let best: f32 = -Infinity;
  let from: i32 = 0;
  const blocks = count / BLOCK;
  for (let block = 0; block < blocks; block++) {
    const highest = highestOfBlock(start + <usize>block * BLOCK_BYTES);
    if (!v128.any_true(f32x4.gt(highest, f32x4.splat(best)))) continue;
    best = highestLane(highest);
    from = block * BLOCK;
  }
  for (let i = blocks * BLOCK; i < count; i++) {
    const value = load<f32>(start + ((<usize>i) << 2));
    if (!(value > best)) continue;
    best = value;
    from = i;
  }
  for (let i = from; i < count; i++) if (load<f32>(start + ((<usize>i) << 2)) == best) return i;
  return -1;
}

/** Four lanes, each the highest of a quarter of the block. `pmax(a, b)` is a where b is NaN, and a starts as none. */
function highestOfBlock(start: usize): v128 {
  let a = f32x4.splat(-Infinity);
  let b = a;
  let c = a;
  let d = a;
  for (let at = start; at < start + BLOCK_BYTES; at += 64) {
    a = f32x4.pmax(a, v128.load(at));
    b = f32x4.pmax(b, v128.load(at, 16));
    c = f32x4.pmax(c, v128.load(at, 32));
    d = f32x4.pmax(d, v128.load(at, 48));
  }
  return f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d));
}

function highestLane(v: v128): f32 {
  const low = max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1));
  return max(low, max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)));
}
