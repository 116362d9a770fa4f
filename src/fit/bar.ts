// The bar: is a candidate good enough, and how sure is that? Pure functions from paired measurements to a judgement.
import type { Estimate } from "./certificate.js";

/** `clears`: the whole interval is above the bar. `fails`: the whole interval is below. `undecided`: the bar is inside. */
export type Judgement = "clears" | "fails" | "undecided";

export function judge(kept: Estimate, keep: number): Judgement {
  if (kept.low >= keep) return "clears";
  return kept.high < keep ? "fails" : "undecided";
}

/** Searches no further than this many times what was measured. */
const EVIDENCE_FACTOR_MAX = 1000;

/**
 * How much text would settle an undecided candidate: the interval shrinks with the root of the sample, so
 * n · (half width / distance from the bar)², and a fifth more for the noise in both.
 *
 * @param sample how much was measured
 * @returns at least one more than `sample`; at most a thousand times it, where the candidate sits on the bar
 */
export function tokensToSettle(kept: Estimate, keep: number, sample: number): number {
  const half = (kept.high - kept.low) / 2;
  const distance = Math.abs(kept.mean - keep);
  const factor = distance === 0 ? Infinity : 1.2 * (half / distance) ** 2;
  return Math.ceil(Math.min(EVIDENCE_FACTOR_MAX * sample, Math.max(sample + 1, sample * factor)));
}
