// IEEE 754 half precision: 1 sign bit, 5 exponent bits, 10 bits of mantissa. One number at a time; whole tensors are
// converted by ggml.

/** The largest finite one. */
export const FLOAT16_MAX = 65504;

/** The smallest above zero. */
export const FLOAT16_MIN = 2 ** -24;

const ROUND_TO_INTEGER = 2 ** 52; // what is added to it loses its fraction, ties to even
const EXPONENT_SHIFT = 1023 - 15; // what is added to an exponent in double precision and in half precision

// Worth of a mantissa's last bit for each exponent; a subnormal number (0) has the smallest normal one's (1). A table,
// because `2 ** n` takes longer than all the rest.
const LAST_BIT = Float64Array.from({ length: 31 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25));

const word = new Float64Array(1);
const halves = new Uint32Array(word.buffer); // little-endian, as every platform of the engine is: the exponent in the second

/**
 * The nearest half-precision number's bits, ties to even; infinity from 65520 on.
 *
 * Rounds once, from double precision: 1 + 2⁻¹¹ + 2⁻³⁰ goes up, which by way of single precision would be a tie.
 */
export function toFloat16(value: number): number {
  word[0] = value;
  const high = halves[1]!;
  const sign = (high >>> 16) & 0x8000;
  const exponent = Math.max(((high >>> 20) & 0x7ff) - EXPONENT_SHIFT, 1);
  if (exponent > 30) return sign | (Number.isNaN(value) ? 0x7e00 : 0x7c00);
  const bits = Math.abs(value) / LAST_BIT[exponent]!; // exact; 1024 to 2048, or less for a subnormal number
  const mantissa = bits + ROUND_TO_INTEGER - ROUND_TO_INTEGER;
  return sign | (((exponent - 1) << 10) + mantissa); // the implied 1024, and a carry, raise the exponent by one each
}

/** The number that half-precision bits stand for. */
export function fromFloat16(bits: number): number {
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 0x3ff;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Infinity;
  return sign * (exponent ? 1024 + mantissa : mantissa) * LAST_BIT[exponent]!;
}

/** The nearest finite half-precision number: what is beyond the largest becomes the largest. */
export function nearestFloat16(value: number): number {
  return fromFloat16(toFloat16(Math.max(-FLOAT16_MAX, Math.min(FLOAT16_MAX, value))));
}
