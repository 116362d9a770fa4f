// Numbers as a reader wants them: few digits, units, and an honest dash where there is none.
import type { Estimate } from "../fit/certificate.js";

/** What stands where a number is unknown. */
export const NONE = "–";

/** `99.2 %`, with two decimals where the interval is narrow enough to give them a meaning. */
export function percent(share: number, decimals = 1): string {
  return `${(share * 100).toFixed(decimals)}\u202f%`;
}

/** Decimals of a percentage that its interval supports: 1, or 2 when it is narrower than half a point. */
export function percentDecimals(estimate: Estimate): number {
  return estimate.high - estimate.low < 0.005 ? 2 : 1;
}

/** `98.8 to 99.6 %` */
export function percentRange(estimate: Estimate): string {
  const decimals = percentDecimals(estimate);
  return `${(estimate.low * 100).toFixed(decimals)} to ${percent(estimate.high, decimals)}`;
}

/** `3.5`: how many times as much `a` is as `b`. */
export function times(a: number, b: number): string {
  const ratio = a / b;
  return ratio >= 9.95 ? ratio.toFixed(0) : ratio.toFixed(1);
}

/** `4.0e-7`, `0.00123`, `0.142`, `5.25`: three significant digits. */
export function significant(value: number): string {
  if (value === 0) return "0";
  if (Math.abs(value) < 1e-5) return value.toExponential(1);
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(7, Math.max(0, 2 - magnitude)));
}

/** `$0.00798`, `$0.0104`, `$12.3`, `$1 234`: three digits, of large amounts all, so that amounts beside each other compare. */
export function dollars(value: number): string {
  const amount = Math.abs(value);
  return `${value < 0 ? "−" : ""}$${amount >= 100 ? grouped(amount) : significant(amount)}`;
}

/** `412`, `61.3`: tokens per second. */
export function rate(tokensPerSecond: number): string {
  return tokensPerSecond >= 100 ? tokensPerSecond.toFixed(0) : tokensPerSecond.toFixed(1);
}

/** `1 234 567` in groups of three with thin spaces. */
export function grouped(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** `1 case`, `420 cases`. */
export function counted(count: number, unit: string): string {
  return `${grouped(count)} ${count === 1 ? unit.replace(/s$/, "") : unit}`;
}
