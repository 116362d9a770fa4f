// The inner search: which codeword is nearest under a quadratic form, its signs given; see nearest-codeword.ts of the host.
// Four halves are weighed at a time.
import { codeLength, codes, firsts, halves, runs, seconds } from "./book";
import { EIGHT_CARRY, EIGHT_INVERSE, FOUR_CARRY, FOUR_INVERSE, FOUR_PART_BYTES, PART } from "./form-layout";
import { atMost, laneOf, leastOf } from "./lanes";
import { boundsWork } from "./problem";

/** Bytes of four halves of a codeword of 8, and of one of 4. */
const EIGHT_FOUR_BYTES: usize = 64;
const FOUR_FOUR_BYTES: usize = 32;

/** Halves whose bounds are looked at together. */
const CHUNK: i32 = 16;

/**
 * The codeword m with the least x M x − 2 r·x, x being m with signs.
 *
 * @param signs bit i set: x_i is negative
 * @param linear r f32 [codeLength]
 */
export function nearestCodeword(form: usize, part: i32, signs: i32, linear: usize): i32 {
  return codeLength == 8 ? nearestOfEight(form, signs, linear) : nearestOfFour(form, part, signs, linear);
}

/** −1 or 1. */
function signOf(signs: i32, bit: i32): f32 {
  return ((signs >>> bit) & 1) == 1 ? -1 : 1;
}

function nearestOfEight(form: usize, signs: i32, linear: usize): i32 {
  const s0 = signOf(signs, 0);
  const s1 = signOf(signs, 1);
  const s2 = signOf(signs, 2);
  const s3 = signOf(signs, 3);
  const r4 = load<f32>(linear, 16);
  const r5 = load<f32>(linear, 20);
  const r6 = load<f32>(linear, 24);
  const r7 = load<f32>(linear, 28);
  const p0: f32 = -2 * s0 * (load<f32>(linear) - carried(form, 0, r4, r5, r6, r7));
  const p1: f32 = -2 * s1 * (load<f32>(linear, 4) - carried(form, 16, r4, r5, r6, r7));
  const p2: f32 = -2 * s2 * (load<f32>(linear, 8) - carried(form, 32, r4, r5, r6, r7));
  const p3: f32 = -2 * s3 * (load<f32>(linear, 12) - carried(form, 48, r4, r5, r6, r7));
  const least = boundsOfEight(form, s0, s1, s2, s3, p0, p1, p2, p3);
  const constant =
    r4 *
      (load<f32>(form, EIGHT_INVERSE) * r4 +
        2 *
          (load<f32>(form, EIGHT_INVERSE + 4) * r5 +
            load<f32>(form, EIGHT_INVERSE + 8) * r6 +
            load<f32>(form, EIGHT_INVERSE + 12) * r7)) +
    r5 *
      (load<f32>(form, EIGHT_INVERSE + 20) * r5 +
        2 * (load<f32>(form, EIGHT_INVERSE + 24) * r6 + load<f32>(form, EIGHT_INVERSE + 28) * r7)) +
    r6 * (load<f32>(form, EIGHT_INVERSE + 40) * r6 + 2 * load<f32>(form, EIGHT_INVERSE + 44) * r7) +
    r7 * load<f32>(form, EIGHT_INVERSE + 60) * r7;
  return secondsOfEight(form, signs, linear, least, constant);
}

function carried(form: usize, at: usize, r4: f32, r5: f32, r6: f32, r7: f32): f32 {
  const carry = form + EIGHT_CARRY + at;
  return load<f32>(carry) * r4 + load<f32>(carry, 4) * r5 + load<f32>(carry, 8) * r6 + load<f32>(carry, 12) * r7;
}

/** Writes the least cost of each first half, up to what is the same for all. @returns the half with the least */
function boundsOfEight(form: usize, s0: f32, s1: f32, s2: f32, s3: f32, p0: f32, p1: f32, p2: f32, p3: f32): i32 {
  const v0 = f32x4.splat(p0);
  const v1 = f32x4.splat(p1);
  const v2 = f32x4.splat(p2);
  const v3 = f32x4.splat(p3);
  const q00 = f32x4.splat(load<f32>(form, PART));
  const q11 = f32x4.splat(load<f32>(form, PART + 20));
  const q22 = f32x4.splat(load<f32>(form, PART + 40));
  const q33 = f32x4.splat(load<f32>(form, PART + 60));
  const q01 = f32x4.splat(2 * s0 * s1 * load<f32>(form, PART + 4));
  const q02 = f32x4.splat(2 * s0 * s2 * load<f32>(form, PART + 8));
  const q03 = f32x4.splat(2 * s0 * s3 * load<f32>(form, PART + 12));
  const q12 = f32x4.splat(2 * s1 * s2 * load<f32>(form, PART + 24));
  const q13 = f32x4.splat(2 * s1 * s3 * load<f32>(form, PART + 28));
  const q23 = f32x4.splat(2 * s2 * s3 * load<f32>(form, PART + 44));
  const fours = (halves + 3) >> 2;
  let least = f32x4.splat(f32.MAX_VALUE);
  let at = firsts;
  let out = boundsWork;
  for (let four = 0; four < fours; four++) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
    const c = v128.load(at, 32);
    const d = v128.load(at, 48);
    const x = f32x4.add(
      f32x4.add(f32x4.mul(q00, a), f32x4.mul(q01, b)),
      f32x4.add(f32x4.add(f32x4.mul(q02, c), f32x4.mul(q03, d)), v0),
    );
    const y = f32x4.add(f32x4.add(f32x4.mul(q11, b), f32x4.mul(q12, c)), f32x4.add(f32x4.mul(q13, d), v1));
    const z = f32x4.add(f32x4.add(f32x4.mul(q22, c), f32x4.mul(q23, d)), v2);
    const w = f32x4.add(f32x4.mul(q33, d), v3);
    const bound = f32x4.add(f32x4.add(f32x4.mul(a, x), f32x4.mul(b, y)), f32x4.add(f32x4.mul(c, z), f32x4.mul(d, w)));
    v128.store(out, bound);
    least = f32x4.pmin(least, bound);
    at += EIGHT_FOUR_BYTES;
    out += 16;
  }
  return firstAtMost(leastOf(least));
}

function boundOf(half: i32): f32 {
  return load<f32>(boundsWork + ((<usize>half) << 2));
}

/** Of the halves from `chunk` on, those whose bound is at most a limit: bit i for the i-th. */
function openHalves(chunk: i32, limit: f32): i32 {
  const open = atMost(boundsWork + ((<usize>chunk) << 2), limit);
  return chunk + CHUNK > halves ? open & ((1 << (halves - chunk)) - 1) : open;
}

/** The first half whose bound is at most a limit. */
function firstAtMost(limit: f32): i32 {
  for (let chunk = 0; chunk < halves; chunk += CHUNK) {
    const open = openHalves(chunk, limit);
    if (open != 0) return chunk + ctz(open);
  }
  return 0;
}

/** Weighs the codewords of each first half that can still win, beginning with the likeliest. */
function secondsOfEight(form: usize, signs: i32, linear: usize, leastHalf: i32, constant: f32): i32 {
  const s0 = signOf(signs, 0);
  const s1 = signOf(signs, 1);
  const s2 = signOf(signs, 2);
  const s3 = signOf(signs, 3);
  const s4 = signOf(signs, 4);
  const s5 = signOf(signs, 5);
  const s6 = signOf(signs, 6);
  const s7 = signOf(signs, 7);
  const w44 = f32x4.splat(load<f32>(form, 144));
  const w55 = f32x4.splat(load<f32>(form, 180));
  const w66 = f32x4.splat(load<f32>(form, 216));
  const w77 = f32x4.splat(load<f32>(form, 252));
  const w45 = f32x4.splat(2 * s4 * s5 * load<f32>(form, 148));
  const w46 = f32x4.splat(2 * s4 * s6 * load<f32>(form, 152));
  const w47 = f32x4.splat(2 * s4 * s7 * load<f32>(form, 156));
  const w56 = f32x4.splat(2 * s5 * s6 * load<f32>(form, 184));
  const w57 = f32x4.splat(2 * s5 * s7 * load<f32>(form, 188));
  const w67 = f32x4.splat(2 * s6 * s7 * load<f32>(form, 220));
  const signsSecond = f32x4(2 * s4, 2 * s5, 2 * s6, 2 * s7);
  const linearSecond = v128.load(linear, 16);
  let best = f32.MAX_VALUE;
  let bestPosition = 0;
  let chunk = -CHUNK;
  let open = 0;
  let half = leastHalf;
  while (true) {
    const first = firsts + <usize>(half >> 2) * EIGHT_FOUR_BYTES + ((<usize>(half & 3)) << 2);
    const a = s0 * load<f32>(first);
    const b = s1 * load<f32>(first, 16);
    const c = s2 * load<f32>(first, 32);
    const d = s3 * load<f32>(first, 48);
    const base =
      a *
        (load<f32>(form) * a +
          2 * (load<f32>(form, 4) * b + load<f32>(form, 8) * c + load<f32>(form, 12) * d - load<f32>(linear))) +
      b * (load<f32>(form, 36) * b + 2 * (load<f32>(form, 40) * c + load<f32>(form, 44) * d - load<f32>(linear, 4))) +
      c * (load<f32>(form, 72) * c + 2 * (load<f32>(form, 76) * d - load<f32>(linear, 8))) +
      d * (load<f32>(form, 108) * d - 2 * load<f32>(linear, 12));
    const across = f32x4.add(
      f32x4.add(f32x4.mul(v128.load(form, 16), f32x4.splat(a)), f32x4.mul(v128.load(form, 48), f32x4.splat(b))),
      f32x4.add(f32x4.mul(v128.load(form, 80), f32x4.splat(c)), f32x4.mul(v128.load(form, 112), f32x4.splat(d))),
    );
    const slope = f32x4.mul(signsSecond, f32x4.sub(across, linearSecond));
    const l4 = f32x4.splat(f32x4.extract_lane(slope, 0));
    const l5 = f32x4.splat(f32x4.extract_lane(slope, 1));
    const l6 = f32x4.splat(f32x4.extract_lane(slope, 2));
    const l7 = f32x4.splat(f32x4.extract_lane(slope, 3));
    const end = seconds + <usize>load<u16>(runs + ((<usize>half) << 1), 2) * EIGHT_FOUR_BYTES;
    let at = seconds + <usize>load<u16>(runs + ((<usize>half) << 1)) * EIGHT_FOUR_BYTES;
    for (; at < end; at += EIGHT_FOUR_BYTES) {
      const e = v128.load(at);
      const f = v128.load(at, 16);
      const g = v128.load(at, 32);
      const k = v128.load(at, 48);
      const x = f32x4.add(
        f32x4.add(f32x4.mul(w44, e), f32x4.mul(w45, f)),
        f32x4.add(f32x4.add(f32x4.mul(w46, g), f32x4.mul(w47, k)), l4),
      );
      const y = f32x4.add(f32x4.add(f32x4.mul(w55, f), f32x4.mul(w56, g)), f32x4.add(f32x4.mul(w57, k), l5));
      const z = f32x4.add(f32x4.add(f32x4.mul(w66, g), f32x4.mul(w67, k)), l6);
      const w = f32x4.add(f32x4.mul(w77, k), l7);
      const cost = f32x4.add(f32x4.add(f32x4.mul(e, x), f32x4.mul(f, y)), f32x4.add(f32x4.mul(g, z), f32x4.mul(k, w)));
      if (!v128.any_true(f32x4.lt(cost, f32x4.splat(best - base)))) continue;
      const least = leastOf(cost);
      best = base + least;
      bestPosition = ((<i32>((at - seconds) / EIGHT_FOUR_BYTES)) << 2) + laneOf(cost, least);
    }
    do {
      while (open == 0) {
        chunk += CHUNK;
        if (chunk >= halves) return load<u16>(codes + ((<usize>bestPosition) << 1));
        open = openHalves(chunk, best + constant);
      }
      half = chunk + ctz(open);
      open &= open - 1;
    } while (half == leastHalf || boundOf(half) > best + constant);
  }
}

function nearestOfFour(form: usize, part: i32, signs: i32, linear: usize): i32 {
  const own = form + <usize>part * FOUR_PART_BYTES;
  const whole = form + <usize>part * 144; // rows are 32 bytes apart
  const s0 = signOf(signs, 0);
  const s1 = signOf(signs, 1);
  const s2 = signOf(signs, 2);
  const s3 = signOf(signs, 3);
  const r0 = load<f32>(linear);
  const r1 = load<f32>(linear, 4);
  const r2 = load<f32>(linear, 8);
  const r3 = load<f32>(linear, 12);

  const p0 = f32x4.splat(-2 * s0 * (r0 - load<f32>(own, FOUR_CARRY) * r2 - load<f32>(own, FOUR_CARRY + 4) * r3));
  const p1 = f32x4.splat(-2 * s1 * (r1 - load<f32>(own, FOUR_CARRY + 8) * r2 - load<f32>(own, FOUR_CARRY + 12) * r3));
  const q00 = f32x4.splat(load<f32>(own, PART));
  const q11 = f32x4.splat(load<f32>(own, PART + 12));
  const q01 = f32x4.splat(2 * s0 * s1 * load<f32>(own, PART + 4));
  const fours = (halves + 3) >> 2;
  let leastBound = f32x4.splat(f32.MAX_VALUE);
  for (let four = 0; four < fours; four++) {
    const at = firsts + <usize>four * FOUR_FOUR_BYTES;
    const a = v128.load(at);
    const b = v128.load(at, 16);
    const x = f32x4.add(f32x4.add(f32x4.mul(q00, a), f32x4.mul(q01, b)), p0);
    const y = f32x4.add(f32x4.mul(q11, b), p1);
    const bound = f32x4.add(f32x4.mul(a, x), f32x4.mul(b, y));
    v128.store(boundsWork + ((<usize>four) << 4), bound);
    leastBound = f32x4.pmin(leastBound, bound);
  }
  const leastHalf = firstAtMost(leastOf(leastBound));
  const constant =
    r2 * (load<f32>(own, FOUR_INVERSE) * r2 + 2 * load<f32>(own, FOUR_INVERSE + 4) * r3) +
    r3 * load<f32>(own, FOUR_INVERSE + 12) * r3;

  const w22 = f32x4.splat(load<f32>(whole, 72));
  const w33 = f32x4.splat(load<f32>(whole, 108));
  const w23 = f32x4.splat(2 * s2 * s3 * load<f32>(whole, 76));
  let best = f32.MAX_VALUE;
  let bestPosition = 0;
  let chunk = -CHUNK;
  let open = 0;
  let half = leastHalf;
  while (true) {
    const first = firsts + <usize>(half >> 2) * FOUR_FOUR_BYTES + ((<usize>(half & 3)) << 2);
    const a = s0 * load<f32>(first);
    const b = s1 * load<f32>(first, 16);
    const base =
      a * (load<f32>(whole) * a + 2 * (load<f32>(whole, 4) * b - r0)) + b * (load<f32>(whole, 36) * b - 2 * r1);
    const l2 = f32x4.splat(2 * s2 * (load<f32>(whole, 8) * a + load<f32>(whole, 40) * b - r2));
    const l3 = f32x4.splat(2 * s3 * (load<f32>(whole, 12) * a + load<f32>(whole, 44) * b - r3));
    const end = seconds + <usize>load<u16>(runs + ((<usize>half) << 1), 2) * FOUR_FOUR_BYTES;
    let at = seconds + <usize>load<u16>(runs + ((<usize>half) << 1)) * FOUR_FOUR_BYTES;
    for (; at < end; at += FOUR_FOUR_BYTES) {
      const c = v128.load(at);
      const d = v128.load(at, 16);
      const x = f32x4.add(f32x4.add(f32x4.mul(w22, c), f32x4.mul(w23, d)), l2);
      const y = f32x4.add(f32x4.mul(w33, d), l3);
      const cost = f32x4.add(f32x4.mul(c, x), f32x4.mul(d, y));
      if (!v128.any_true(f32x4.lt(cost, f32x4.splat(best - base)))) continue;
      const least = leastOf(cost);
      best = base + least;
      bestPosition = ((<i32>((at - seconds) / FOUR_FOUR_BYTES)) << 2) + laneOf(cost, least);
    }
    do {
      while (open == 0) {
        chunk += CHUNK;
        if (chunk >= halves) return load<u16>(codes + ((<usize>bestPosition) << 1));
        open = openHalves(chunk, best + constant);
      }
      half = chunk + ctz(open);
      open &= open - 1;
    } while (half == leastHalf || boundOf(half) > best + constant);
  }
}
