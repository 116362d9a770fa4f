// IEEE 754 half precision: 1 sign bit, 5 exponent bits, 10 bits of mantissa. One number at a time; whole tensors are
// converted by ggml.

/** The largest finite one. */
export const FLOAT16_MAX = 65504;

const ROUND_TO_INTEGER = 2 ** 52; // what is added to it loses its fraction, ties to even
const EXPONENT_MIN = -14; // of a normal number; below it the mantissa has no implied one

const word = new Float64Array(1);
const halves = new Uint32Array(word.buffer); // little-endian, as every platform of the engine is: the exponent in the second

/**
 * The nearest half-precision number's bits, ties to even; infinity from 65520 on.
 *
 * Rounds once, from double precision: 1 + 2⁻¹¹ + 2⁻³⁰ goes up, which by way of single precision would be a tie.
 */
export function toFloat16(value: number): number {
  word[0] = value;
  const sign = (halves[1]! >>> 16) & 0x8000;
  const exponent = Math.max(((halves[1]! >>> 20) & 0x7ff) - 1023, EXPONENT_MIN);
  if (exponent > 15) return sign | (Number.isNaN(value) ? 0x7e00 : 0x7c00);
  const steps = Math.abs(value) * 2 ** (10 - exponent); // exact; 1024 to 2048, or less for a subnormal one
  const mantissa = steps + ROUND_TO_INTEGER - ROUND_TO_INTEGER;
  return sign | (((exponent - EXPONENT_MIN) << 10) + mantissa); // the implied one, or a carry, raises the exponent by one
}

/** The number that half-precision bits stand for. */
export function fromFloat16(bits: number): number {
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 0x3ff;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Infinity;
  return exponent ? sign * (1024 + mantissa) * 2 ** (exponent - 25) : sign * mantissa * 2 ** -24;
}
