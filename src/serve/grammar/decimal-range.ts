// Decimal numbers within bounds, as an expression over their digits. Bounds are exact: numbers with j digits behind the point
// are whole numbers of the j-th part, and whole numbers of equal length compare digit by digit.
import { alternatives, literal, repeated } from "./rules.js";

const DIGITS_MAX = 15; // in front of the point: a double holds all whole numbers of so many digits
const FRACTION_DIGITS = 6; // behind it, unless a bound has more

/** Bounds as JSON Schema has them. */
export interface NumberBounds {
  minimum?: number | undefined;
  maximum?: number | undefined;
  exclusiveMinimum?: number | undefined;
  exclusiveMaximum?: number | undefined;
}

/** Whole numbers within bounds, or undefined when there are none. */
export function integerRange(bounds: NumberBounds): string | undefined {
  const options = scaledRange(bounds, 0);
  return options.length === 0 ? undefined : alternatives(options);
}

/** Numbers within bounds, whole and with a fraction, or undefined when there are none. */
export function numberRange(bounds: NumberBounds): string | undefined {
  const given = Object.values(bounds).filter((bound) => bound !== undefined) as number[];
  const digits = Math.max(FRACTION_DIGITS, ...given.map((bound) => decimalOf(bound).scale));
  const options = Array.from({ length: digits + 1 }, (_, scale) => scaledRange(bounds, scale)).flat();
  return options.length === 0 ? undefined : alternatives(options);
}

/** Numbers with `scale` digits behind the point. */
function scaledRange(bounds: NumberBounds, scale: number): string[] {
  const limit = 10n ** BigInt(DIGITS_MAX + scale) - 1n;
  const low = [-limit];
  const high = [limit];
  if (bounds.minimum !== undefined) low.push(scaled(bounds.minimum, scale, "up"));
  if (bounds.exclusiveMinimum !== undefined) low.push(scaled(bounds.exclusiveMinimum, scale, "down") + 1n);
  if (bounds.maximum !== undefined) high.push(scaled(bounds.maximum, scale, "down"));
  if (bounds.exclusiveMaximum !== undefined) high.push(scaled(bounds.exclusiveMaximum, scale, "up") - 1n);
  const from = low.reduce((a, b) => (b > a ? b : a));
  const to = high.reduce((a, b) => (b < a ? b : a));
  const options: string[] = [];
  if (to >= 0n && to >= from) options.push(...unsigned(from > 0n ? from : 0n, to, scale));
  if (from < 0n && to >= from) {
    const negative = unsigned(to < 0n ? -to : 1n, -from, scale);
    if (negative.length > 0) options.push(`"-" ${alternatives(negative)}`);
  }
  return options;
}

/** Whole numbers from `low` to `high`, both 0 or more, with a point before the last `scale` digits. */
function unsigned(low: bigint, high: bigint, scale: number): string[] {
  const options: string[] = [];
  const lengthMin = Math.max(scale + 1, String(low).length);
  for (let length = lengthMin; length <= Math.max(lengthMin, String(high).length); length++) {
    const first = length === scale + 1 ? 0n : 10n ** BigInt(length - 1);
    const last = 10n ** BigInt(length) - 1n;
    const from = low > first ? low : first;
    const to = high < last ? high : last;
    if (from > to) continue;
    const digits = (value: bigint): string => String(value).padStart(length, "0");
    options.push(between(digits(from), digits(to), scale));
  }
  return options;
}

/** Digit strings of one length from `low` to `high`. */
function between(low: string, high: string, scale: number): string {
  const point = low.length === scale && scale > 0 ? '"." ' : "";
  if (low === high) return literal(withPoint(low, scale));
  if (/^0*$/.test(low) && /^9*$/.test(high)) return anyDigits(low.length, scale);
  const [a, b] = [Number(low[0]), Number(high[0])];
  const [lowRest, highRest] = [low.slice(1), high.slice(1)];
  if (low.length === 1) return `${point}[${a}-${b}]`;
  if (a === b) return `${point}"${a}" ${between(lowRest, highRest, scale)}`;
  const [zeros, nines] = ["0".repeat(lowRest.length), "9".repeat(lowRest.length)];
  const options: string[] = [];
  const from = lowRest === zeros ? a : a + 1;
  const to = highRest === nines ? b : b - 1;
  if (from > a) options.push(`"${a}" ${between(lowRest, nines, scale)}`);
  if (from <= to) options.push(`[${from}-${to}] ${anyDigits(lowRest.length, scale)}`);
  if (to < b) options.push(`"${b}" ${between(zeros, highRest, scale)}`);
  return `${point}${alternatives(options)}`;
}

function anyDigits(count: number, scale: number): string {
  if (scale === 0 || count < scale) return repeated("[0-9]", count, count);
  const front = count === scale ? "" : `${repeated("[0-9]", count - scale, count - scale)} `;
  return `${front}"." ${repeated("[0-9]", scale, scale)}`;
}

function withPoint(digits: string, scale: number): string {
  if (scale === 0 || digits.length < scale) return digits;
  return `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function scaled(value: number, scale: number, rounding: "up" | "down"): bigint {
  const { digits, scale: own } = decimalOf(value);
  if (scale >= own) return digits * 10n ** BigInt(scale - own);
  const divisor = 10n ** BigInt(own - scale);
  const quotient = digits / divisor; // towards zero
  const rest = digits % divisor;
  if (rest > 0n && rounding === "up") return quotient + 1n;
  if (rest < 0n && rounding === "down") return quotient - 1n;
  return quotient;
}

/** A number exactly as JavaScript writes it: 1.5e-7 is 15 of scale 8. */
function decimalOf(value: number): { digits: bigint; scale: number } {
  const [mantissa = "0", exponent = "0"] = String(value).split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  const scale = fraction.length - Number(exponent);
  const digits = BigInt(whole + fraction);
  return scale >= 0 ? { digits, scale } : { digits: digits * 10n ** BigInt(-scale), scale: 0 };
}
