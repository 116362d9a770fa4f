// IEEE half precision, rounded to nearest, ties to even.

/** The largest finite one. */
const FLOAT16_MAX: f32 = 65504;
/** The smallest above zero. */
export const FLOAT16_MIN: f32 = 5.9604644775390625e-8;

/** The nearest finite one: what is beyond becomes the largest. */
export function nearestFloat16(value: f32): f32 {
  return fromFloat16(toFloat16(max<f32>(-FLOAT16_MAX, min<f32>(FLOAT16_MAX, value))));
}

function toFloat16(value: f32): u32 {
  const word = reinterpret<u32>(value);
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | 0x7c00 | select<u32>(0x200, 0, magnitude > 0x7f800000);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to infinity
  if (magnitude < 0x38800000) {
    // subnormal: adding 0.5 leaves its bits, rounded, at the end of the mantissa
    const shifted = reinterpret<f32>(magnitude) + <f32>0.5;
    return sign | (reinterpret<u32>(shifted) - 0x3f000000);
  }
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
}

function fromFloat16(bits: u32): f32 {
  const sign = (bits & 0x8000) << 16;
  const magnitude = bits & 0x7fff;
  if (magnitude >= 0x7c00) return reinterpret<f32>(sign | 0x7f800000 | ((magnitude & 0x3ff) << 13));
  if (magnitude < 0x400) {
    const value = <f32>magnitude * FLOAT16_MIN;
    return sign ? -value : value;
  }
  return reinterpret<f32>(sign | ((magnitude << 13) + 0x38000000));
}
