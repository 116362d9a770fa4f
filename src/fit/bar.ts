// The bar: is a candidate good enough, and how sure is that? Pure functions from paired measurements to a judgement.
import { wilsonInterval } from "../evaluate/statistics.js";
import type { Estimate } from "./certificate.js";

/** `clears`: the whole interval is above the bar. `fails`: the whole interval is below. `undecided`: the bar is inside. */
export type Judgement = "clears" | "fails" | "undecided";

export function judge(kept: Estimate, keep: number): Judgement {
  if (kept.low >= keep) return "clears";
  return kept.high < keep ? "fails" : "undecided";
}

/**
 * Share of the baseline's score that a candidate keeps, on the same cases: 1 + (won - lost) / mean(baseline), where `won`
 * and `lost` are the mean gains and losses per case.
 *
 * The interval joins Wilson's intervals of the two shares (MOVER: Zou and Donner, 2008, "Construction of confidence limits
 * about effect measures", eq. 3). Student's interval of the differences would be too narrow: a sample with few losses
 * looks good and sure at once, and one without any would have no width at all. Baseline mean as measured on these cases.
 *
 * @param baseline score of each case, 0…1
 * @param candidate score of each case, in the same order
 * @throws {RangeError} when the cases don't pair up, or the baseline scores 0
 */
export function shareOfScoreKept(baseline: readonly number[], candidate: readonly number[]): Estimate {
  const n = baseline.length;
  if (n === 0 || n !== candidate.length) {
    throw new RangeError(`Cannot pair ${n} scores of the baseline with ${candidate.length} of the candidate`);
  }
  const mean = baseline.reduce((sum, score) => sum + score, 0) / n;
  if (mean === 0) throw new RangeError("Cannot relate to a baseline that scores 0 in every case");
  const gains = baseline.map((score, index) => candidate[index]! - score);
  const won = wilsonInterval(
    gains.reduce((sum, gain) => sum + Math.max(0, gain), 0),
    n,
  );
  const lost = wilsonInterval(
    gains.reduce((sum, gain) => sum + Math.max(0, -gain), 0),
    n,
  );
  const net = won.mean - lost.mean;
  const below = Math.hypot(won.mean - won.low, lost.high - lost.mean);
  const above = Math.hypot(won.high - won.mean, lost.mean - lost.low);
  return { mean: 1 + net / mean, low: Math.max(0, 1 + (net - below) / mean), high: 1 + (net + above) / mean };
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
