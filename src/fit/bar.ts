// The bar: is a candidate good enough, and how sure is that? Pure functions from paired measurements to a judgement.
import { meanInterval } from "../evaluate/statistics.js";
import type { Estimate } from "./certificate.js";

/** `clears`: the whole interval is above the bar. `fails`: the whole interval is below. `undecided`: the bar is inside. */
export type Judgement = "clears" | "fails" | "undecided";

export function judge(kept: Estimate, keep: number): Judgement {
  if (kept.low >= keep) return "clears";
  return kept.high < keep ? "fails" : "undecided";
}

/**
 * Share of the baseline's score that a candidate keeps, on the same cases: 1 + mean(candidate - baseline) / mean(baseline).
 *
 * The interval is Student's on the paired differences, after one case won and one case lost were added. Without them, a
 * candidate that answers like the baseline in all of twenty cases would have an interval of no width. Agresti and Min
 * (2005, "Simple improved confidence intervals for comparing matched proportions") add half of each; one is more cautious.
 * The baseline's mean score is taken as it was measured on these cases.
 *
 * @param baseline score of each case, 0…1
 * @param candidate score of each case, in the same order
 * @throws {RangeError} when the cases don't pair up, or the baseline scores 0
 */
export function shareOfScoreKept(baseline: readonly number[], candidate: readonly number[]): Estimate {
  if (baseline.length === 0 || baseline.length !== candidate.length) {
    throw new RangeError(
      `Cannot pair ${baseline.length} scores of the baseline with ${candidate.length} of the candidate`,
    );
  }
  const mean = baseline.reduce((sum, score) => sum + score, 0) / baseline.length;
  if (mean === 0) throw new RangeError("Cannot relate to a baseline that scores 0 in every case");
  const differences = baseline.map((score, index) => candidate[index]! - score);
  const center = differences.reduce((sum, difference) => sum + difference, 0) / differences.length;
  const { low, high } = meanInterval([...differences, 1, -1]);
  return { mean: 1 + center / mean, low: Math.max(0, 1 + low / mean), high: 1 + high / mean };
}

/**
 * How much evidence in all would settle an undecided candidate: the interval shrinks with the root of the sample, so
 * n · (half width / distance from the bar)², and a fifth more for the noise in both.
 *
 * @param sample how much was measured
 * @returns at least one more than `sample`; at most a thousand times it, where the candidate sits on the bar
 */
export function evidenceNeeded(kept: Estimate, keep: number, sample: number): number {
  const half = (kept.high - kept.low) / 2;
  const distance = Math.abs(kept.mean - keep);
  const factor = distance === 0 ? Infinity : 1.2 * (half / distance) ** 2;
  return Math.ceil(Math.min(1000 * sample, Math.max(sample + 1, sample * factor)));
}
