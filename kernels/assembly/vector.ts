// Products of rows of floats. Lengths are any; addresses are multiples of 4.

/** Σ a_i b_i. */
export function dot(a: usize, b: usize, count: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let i: usize = 0;
  const whole = (<usize>(count & ~7)) << 2;
  for (; i < whole; i += 32) {
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a + i), v128.load(b + i)));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(a + i, 16), v128.load(b + i, 16)));
  }
  let sum = total(f32x4.add(s0, s1));
  const end = (<usize>count) << 2;
  for (; i < end; i += 4) sum += load<f32>(a + i) * load<f32>(b + i);
  return sum;
}

/** The sum of four lanes. */
export function total(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/**
 * Four products with one row at once: out_k = Σ_i a_ki b_i for rows a, a + stride, …, so that b is read once.
 */
export function dot4(a: usize, stride: usize, b: usize, count: i32, out: usize, outStride: usize): void {
  const a1 = a + stride;
  const a2 = a1 + stride;
  const a3 = a2 + stride;
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let i: usize = 0;
  const whole = (<usize>(count & ~3)) << 2;
  for (; i < whole; i += 16) {
    const v = v128.load(b + i);
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a + i), v));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(a1 + i), v));
    s2 = f32x4.add(s2, f32x4.mul(v128.load(a2 + i), v));
    s3 = f32x4.add(s3, f32x4.mul(v128.load(a3 + i), v));
  }
  let t0 = total(s0);
  let t1 = total(s1);
  let t2 = total(s2);
  let t3 = total(s3);
  const end = (<usize>count) << 2;
  for (; i < end; i += 4) {
    const v = load<f32>(b + i);
    t0 += load<f32>(a + i) * v;
    t1 += load<f32>(a1 + i) * v;
    t2 += load<f32>(a2 + i) * v;
    t3 += load<f32>(a3 + i) * v;
  }
  store<f32>(out, t0);
  store<f32>(out + outStride, t1);
  store<f32>(out + 2 * outStride, t2);
  store<f32>(out + 3 * outStride, t3);
}

/** y_i −= f x_i. */
export function subtractScaled(y: usize, f: f32, x: usize, count: i32): void {
  const factor = f32x4.splat(f);
  let i: usize = 0;
  const whole = (<usize>(count & ~3)) << 2;
  for (; i < whole; i += 16) v128.store(y + i, f32x4.sub(v128.load(y + i), f32x4.mul(factor, v128.load(x + i))));
  const end = (<usize>count) << 2;
  for (; i < end; i += 4) store<f32>(y + i, load<f32>(y + i) - f * load<f32>(x + i));
}

/** y −= f0 x0 + f1 x1 + f2 x2 + f3 x3, where row k is x + k stride. */
export function subtractScaled4(
  y: usize,
  f0: f32,
  f1: f32,
  f2: f32,
  f3: f32,
  x: usize,
  stride: usize,
  count: i32,
): void {
  const x1 = x + stride;
  const x2 = x1 + stride;
  const x3 = x2 + stride;
  const v0 = f32x4.splat(f0);
  const v1 = f32x4.splat(f1);
  const v2 = f32x4.splat(f2);
  const v3 = f32x4.splat(f3);
  let i: usize = 0;
  const whole = (<usize>(count & ~3)) << 2;
  for (; i < whole; i += 16) {
    const a = f32x4.add(f32x4.mul(v0, v128.load(x + i)), f32x4.mul(v1, v128.load(x1 + i)));
    const b = f32x4.add(f32x4.mul(v2, v128.load(x2 + i)), f32x4.mul(v3, v128.load(x3 + i)));
    v128.store(y + i, f32x4.sub(v128.load(y + i), f32x4.add(a, b)));
  }
  const end = (<usize>count) << 2;
  for (; i < end; i += 4) {
    const a = f0 * load<f32>(x + i) + f1 * load<f32>(x1 + i);
    const b = f2 * load<f32>(x2 + i) + f3 * load<f32>(x3 + i);
    store<f32>(y + i, load<f32>(y + i) - (a + b));
  }
}
