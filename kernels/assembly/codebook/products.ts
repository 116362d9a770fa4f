// The one large product of this solver, four rows by two so that each number loaded is used several times.

/**
 * out_rj = Σ_i a_ri b_ji.
 *
 * @param a rows of f32, `stride` bytes apart; `aRows` is a multiple of 4
 * @param b rows of f32, `stride` bytes apart; `bRows` is even
 * @param count of columns, a multiple of 4
 * @param out rows `outStride` bytes apart
 */
export function multiply(
  a: usize,
  aRows: i32,
  b: usize,
  bRows: i32,
  stride: usize,
  count: i32,
  out: usize,
  outStride: usize,
): void {
  for (let j = 0; j < bRows; j += 2) {
    for (let r = 0; r < aRows; r += 4) {
      fourByTwo(
        a + <usize>r * stride,
        b + <usize>j * stride,
        stride,
        count,
        out + <usize>r * outStride + ((<usize>j) << 2),
        outStride,
      );
    }
  }
}

function fourByTwo(a: usize, b: usize, stride: usize, count: i32, out: usize, outStride: usize): void {
  const a1 = a + stride;
  const a2 = a1 + stride;
  const a3 = a2 + stride;
  const b1 = b + stride;
  let s00 = f32x4.splat(0);
  let s01 = f32x4.splat(0);
  let s10 = f32x4.splat(0);
  let s11 = f32x4.splat(0);
  let s20 = f32x4.splat(0);
  let s21 = f32x4.splat(0);
  let s30 = f32x4.splat(0);
  let s31 = f32x4.splat(0);
  const end = (<usize>count) << 2;
  for (let i: usize = 0; i < end; i += 16) {
    const u = v128.load(b + i);
    const v = v128.load(b1 + i);
    const x0 = v128.load(a + i);
    s00 = f32x4.add(s00, f32x4.mul(x0, u));
    s01 = f32x4.add(s01, f32x4.mul(x0, v));
    const x1 = v128.load(a1 + i);
    s10 = f32x4.add(s10, f32x4.mul(x1, u));
    s11 = f32x4.add(s11, f32x4.mul(x1, v));
    const x2 = v128.load(a2 + i);
    s20 = f32x4.add(s20, f32x4.mul(x2, u));
    s21 = f32x4.add(s21, f32x4.mul(x2, v));
    const x3 = v128.load(a3 + i);
    s30 = f32x4.add(s30, f32x4.mul(x3, u));
    s31 = f32x4.add(s31, f32x4.mul(x3, v));
  }
  storeTotals(out, s00, s01);
  storeTotals(out + outStride, s10, s11);
  storeTotals(out + 2 * outStride, s20, s21);
  storeTotals(out + 3 * outStride, s30, s31);
}

function storeTotals(out: usize, first: v128, second: v128): void {
  // lanes 0 and 1 of both, plus lanes 2 and 3 of both; then neighbours
  const low = i32x4.shuffle(first, second, 0, 1, 4, 5);
  const high = i32x4.shuffle(first, second, 2, 3, 6, 7);
  const sums = f32x4.add(low, high);
  store<f32>(out, f32x4.extract_lane(sums, 0) + f32x4.extract_lane(sums, 1));
  store<f32>(out, f32x4.extract_lane(sums, 2) + f32x4.extract_lane(sums, 3), 4);
}
