// The best signs and codewords of eight weights under a quadratic form; see eight-search.ts of the host.
import { SIGN_WEIGHTS, codeLength, isSignCountEven, magnitudes } from "./book";
import { DIAGONAL } from "./form-layout";
import { nearestCodeword } from "./nearest-codeword";
import { eightWork } from "./problem";

const PAIR_FLIPS_MAX: i32 = 8;
const NO_CODE: i32 = 0xffff;

/** c f32 [8], S (c − t) f32 [8], and r of one codeword: where they lie in `eightWork`. */
export const POINT: usize = 0;
export const SLOPE: usize = 32;
const LINEAR: usize = 64;
/** What the cost rises by when a sign changes, f32 [8]. */
const FLIP_COSTS: usize = 96;

/** Bit i set: c_i is negative. */
let signs: i32 = 0;
/** The one codeword of c, or the two. */
let firstCode: i32 = 0;
let secondCode: i32 = 0;

/** Sets c to stored signs and codewords. */
export function place(signsAt: usize, codesAt: usize): void {
  signs = load<u8>(signsAt);
  firstCode = load<u16>(codesAt);
  if (codeLength == 4) secondCode = load<u16>(codesAt, 2);
  const low = magnitudes + ((<usize>(firstCode * codeLength)) << 2);
  const high = codeLength == 8 ? low + 16 : magnitudes + ((<usize>(secondCode * codeLength)) << 2);
  v128.store(eightWork + POINT, v128.xor(v128.load(low), signMask(signs)));
  v128.store(eightWork + POINT, v128.xor(v128.load(high), signMask(signs >>> 4)), 16);
}

/** Stores signs and codewords. */
export function keep(signsAt: usize, codesAt: usize): void {
  store<u8>(signsAt, <u8>signs);
  store<u16>(codesAt, <u16>firstCode);
  if (codeLength == 4) store<u16>(codesAt, <u16>secondCode, 2);
}

/** The sign bits of four floats. */
function signMask(bits: i32): v128 {
  const isSet = i32x4.ne(v128.and(i32x4.splat(bits), i32x4(1, 2, 4, 8)), i32x4.splat(0));
  return v128.and(isSet, i32x4.splat(<i32>0x80000000));
}

/** Finds c for the target that stands in its place; on return the slope is that of the point found. */
export function round(form: usize): void {
  const low = v128.load(eightWork + POINT);
  const high = v128.load(eightWork + POINT, 16);
  const zero = f32x4.splat(0);
  signs = i32x4.bitmask(f32x4.lt(low, zero)) | (i32x4.bitmask(f32x4.lt(high, zero)) << 4);
  v128.store(eightWork + SLOPE, zero);
  v128.store(eightWork + SLOPE, zero, 16);
  if (isSignCountEven && (popcnt(signs) & 1) == 1) signs ^= 1 << cheapestSign(form);
  firstCode = NO_CODE;
  secondCode = NO_CODE;
  descend(form);
}

function cheapestSign(form: usize): i32 {
  let cheapest = 0;
  let least = f32.MAX_VALUE;
  for (let i: usize = 0; i < 32; i += 4) {
    const cost = abs<f32>(load<f32>(eightWork + POINT + i)) * load<f32>(form + DIAGONAL + i);
    if (cost >= least) continue;
    least = cost;
    cheapest = <i32>i >> 2;
  }
  return cheapest;
}

/** Improves c, whose slope is known. @returns true when it changed */
export function descend(form: usize): bool {
  if (codeLength == 8) {
    const isNew = chooseEight(form);
    const isFlipped = isSignCountEven ? flipPairs(form) : flipSigns(form);
    return isNew || isFlipped;
  }
  // A codeword is looked for again only where something else has moved since.
  let isFirstOpen = true;
  let isSecondOpen = true;
  let hasMoved = false;
  for (let turn = 0; turn < 2; turn++) {
    if (isFirstOpen && chooseFour(form, 0)) {
      isSecondOpen = true;
      hasMoved = true;
    }
    isFirstOpen = false;
    if (isSecondOpen && chooseFour(form, 1)) {
      isFirstOpen = true;
      hasMoved = true;
    }
    isSecondOpen = false;
    if (isSignCountEven ? flipPairs(form) : flipSigns(form)) {
      isFirstOpen = true;
      isSecondOpen = true;
      hasMoved = true;
    }
    if (!isFirstOpen) break;
  }
  return hasMoved;
}

function chooseEight(form: usize): bool {
  const point = eightWork + POINT;
  const linear = eightWork + LINEAR;
  let low = f32x4.neg(v128.load(eightWork + SLOPE));
  let high = f32x4.neg(v128.load(eightWork + SLOPE, 16));
  for (let j: usize = 0; j < 8; j++) {
    const value = v128.load32_splat(point + (j << 2));
    low = f32x4.add(low, f32x4.mul(value, v128.load(form + (j << 5))));
    high = f32x4.add(high, f32x4.mul(value, v128.load(form + (j << 5), 16)));
  }
  v128.store(linear, low);
  v128.store(linear, high, 16);
  const code = nearestCodeword(form, 0, signs, linear);
  if (code == firstCode) return false;
  firstCode = code;
  moveFour(form, 0, magnitudes + ((<usize>code) << 5));
  moveFour(form, 4, magnitudes + ((<usize>code) << 5) + 16);
  return true;
}

function chooseFour(form: usize, part: i32): bool {
  const offset = (<usize>part) << 4;
  const point = eightWork + POINT + offset;
  const corner = form + <usize>part * 144; // rows are 32 bytes apart
  let linear = f32x4.neg(v128.load(eightWork + SLOPE + offset));
  for (let j: usize = 0; j < 4; j++) {
    linear = f32x4.add(linear, f32x4.mul(v128.load32_splat(point + (j << 2)), v128.load(corner + (j << 5))));
  }
  v128.store(eightWork + LINEAR, linear);
  const code = nearestCodeword(form, part, signs >>> (part << 2), eightWork + LINEAR);
  if (code == (part == 0 ? firstCode : secondCode)) return false;
  if (part == 0) firstCode = code;
  else secondCode = code;
  moveFour(form, part << 2, magnitudes + ((<usize>code) << 4));
  return true;
}

/** Gives the four weights from `first` on new magnitudes. */
function moveFour(form: usize, first: i32, values: usize): void {
  const point = eightWork + POINT + ((<usize>first) << 2);
  const slope = eightWork + SLOPE;
  const wanted = v128.xor(v128.load(values), signMask(signs >>> first));
  const step = f32x4.sub(wanted, v128.load(point));
  v128.store(point, wanted);
  let low = v128.load(slope);
  let high = v128.load(slope, 16);
  const row = form + ((<usize>first) << 5);
  const s0 = f32x4.splat(f32x4.extract_lane(step, 0));
  low = f32x4.add(low, f32x4.mul(s0, v128.load(row)));
  high = f32x4.add(high, f32x4.mul(s0, v128.load(row, 16)));
  const s1 = f32x4.splat(f32x4.extract_lane(step, 1));
  low = f32x4.add(low, f32x4.mul(s1, v128.load(row, 32)));
  high = f32x4.add(high, f32x4.mul(s1, v128.load(row, 48)));
  const s2 = f32x4.splat(f32x4.extract_lane(step, 2));
  low = f32x4.add(low, f32x4.mul(s2, v128.load(row, 64)));
  high = f32x4.add(high, f32x4.mul(s2, v128.load(row, 80)));
  const s3 = f32x4.splat(f32x4.extract_lane(step, 3));
  v128.store(slope, f32x4.add(low, f32x4.mul(s3, v128.load(row, 96))));
  v128.store(slope, f32x4.add(high, f32x4.mul(s3, v128.load(row, 112))), 16);
}

/** What the cost rises by when four of c, from byte `at` on, change their signs one at a time. */
function flipCosts(form: usize, at: usize): v128 {
  const point = v128.load(eightWork + POINT + at);
  const slope = v128.load(eightWork + SLOPE + at);
  const four = f32x4.mul(f32x4.splat(4), point);
  return f32x4.mul(four, f32x4.sub(f32x4.mul(point, v128.load(form + DIAGONAL + at)), slope));
}

function flipSigns(form: usize): bool {
  const zero = f32x4.splat(0);
  const negative = v128.or(f32x4.lt(flipCosts(form, 0), zero), f32x4.lt(flipCosts(form, 16), zero));
  if (!v128.any_true(negative)) return false;
  for (let i = 0; i < SIGN_WEIGHTS; i++) {
    const at = (<usize>i) << 2;
    const value = load<f32>(eightWork + POINT + at);
    const ahead = value * load<f32>(form + DIAGONAL + at) - load<f32>(eightWork + SLOPE + at);
    if (value * ahead < 0) flip(form, i);
  }
  return true;
}

/** Flips the two signs that gain most together, as often as that helps. */
function flipPairs(form: usize): bool {
  const point = eightWork + POINT;
  let hasFlipped = false;
  for (let flips = 0; flips < PAIR_FLIPS_MAX; flips++) {
    const low = flipCosts(form, 0);
    const high = flipCosts(form, 16);
    const alone = eightWork + FLIP_COSTS;
    v128.store(alone, low);
    v128.store(alone, high, 16);
    const lowPoint = f32x4.mul(f32x4.splat(8), v128.load(point));
    const highPoint = f32x4.mul(f32x4.splat(8), v128.load(point, 16));
    let best: f32 = 0;
    let first = 0;
    let second = 0;
    for (let i = 1; i < SIGN_WEIGHTS; i++) {
      const at = (<usize>i) << 2;
      const row = form + ((<usize>i) << 5);
      const own = v128.load32_splat(alone + at);
      const value = v128.load32_splat(point + at);
      const costs = f32x4.add(f32x4.add(own, low), f32x4.mul(f32x4.mul(value, lowPoint), v128.load(row)));
      const open = i32x4.bitmask(f32x4.lt(costs, f32x4.splat(best))) & ((1 << i) - 1);
      if (open != 0) {
        v128.store(eightWork + LINEAR, costs);
        for (let j = 0; j < min(i, 4); j++) {
          const cost = load<f32>(eightWork + LINEAR + ((<usize>j) << 2));
          if (cost >= best) continue;
          best = cost;
          first = i;
          second = j;
        }
      }
      if (i < 5) continue;
      const others = f32x4.add(f32x4.add(own, high), f32x4.mul(f32x4.mul(value, highPoint), v128.load(row, 16)));
      const openHigh = i32x4.bitmask(f32x4.lt(others, f32x4.splat(best))) & ((1 << (i - 4)) - 1);
      if (openHigh == 0) continue;
      v128.store(eightWork + LINEAR, others);
      for (let j = 4; j < i; j++) {
        const cost = load<f32>(eightWork + LINEAR + ((<usize>(j - 4)) << 2));
        if (cost >= best) continue;
        best = cost;
        first = i;
        second = j;
      }
    }
    if (first == second) break;
    flip(form, first);
    flip(form, second);
    hasFlipped = true;
  }
  return hasFlipped;
}

function flip(form: usize, i: i32): void {
  const at = eightWork + POINT + ((<usize>i) << 2);
  const slope = eightWork + SLOPE;
  const row = form + ((<usize>i) << 5);
  const value = load<f32>(at);
  signs ^= 1 << i;
  store<f32>(at, -value);
  const step = f32x4.splat(-2 * value);
  v128.store(slope, f32x4.add(v128.load(slope), f32x4.mul(step, v128.load(row))));
  v128.store(slope, f32x4.add(v128.load(slope, 16), f32x4.mul(step, v128.load(row, 16))), 16);
}
