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
 * about effect measures", eq. 3, with their correlation). Student's interval of the differences would be too narrow: a sample with few losses
 * looks good and sure at once, and one without any would have no width at all. Baseline mean as measured on these cases.
 *
 * @param baseline score of each case, 0…1
 * @param candidate score of each case, in the same order
 * @returns with `won` and `lost`, the mean gain and loss per case
 * @throws {RangeError} when the cases don't pair up, or the baseline scores 0
 */
export function shareOfScoreKept(
  baseline: readonly number[],
  candidate: readonly number[],
): { kept: Estimate; won: number; lost: number } {
  const n = baseline.length;
  if (n === 0 || n !== candidate.length) {
    throw new RangeError(`Cannot pair ${n} scores of the baseline with ${candidate.length} of the candidate`);
  }
  const mean = baseline.reduce((sum, score) => sum + score, 0) / n;
  if (mean === 0) throw new RangeError("Cannot relate to a baseline that scores 0 in every case");
  const gains = baseline.map((score, index) => candidate[index]! - score);
  const won = gains.reduce((sum, gain) => sum + Math.max(0, gain), 0) / n;
  const lost = gains.reduce((sum, gain) => sum + Math.max(0, -gain), 0) / n;
  return { kept: keptInterval({ won, lost, baselineMean: mean, cases: n }), won, lost };
}

/** What a paired comparison of scores comes down to. */
export interface ScoreComparison {
  won: number;
  lost: number;
  baselineMean: number;
  cases: number;
}

/** The interval of {@link shareOfScoreKept} from its sums. */
export function keptInterval({ won, lost, baselineMean, cases }: ScoreComparison): Estimate {
  const gain = wilsonInterval(won * cases, cases);
  const loss = wilsonInterval(lost * cases, cases);
  const net = won - lost;
  // A case that is won is not lost: shares of one sample are negatively correlated, which widens their difference.
  const correlation = Math.sqrt((won * lost) / Math.max(Number.EPSILON, (1 - won) * (1 - lost)));
  const below = combined(gain.mean - gain.low, loss.high - loss.mean, correlation);
  const above = combined(gain.high - gain.mean, loss.mean - loss.low, correlation);
  return {
    mean: 1 + net / baselineMean,
    low: Math.max(0, 1 + (net - below) / baselineMean),
    high: 1 + (net + above) / baselineMean,
  };
}

function combined(a: number, b: number, correlation: number): number {
  return Math.sqrt(a ** 2 + b ** 2 + 2 * correlation * a * b);
}

/** Searches no further than this many times what was measured. */
const EVIDENCE_FACTOR_MAX = 1000;

/**
 * How many cases would settle an undecided candidate, if it goes on winning and losing as it did: the least number whose
 * interval lies on one side of the bar.
 *
 * @returns at most a thousand times the cases measured, where the candidate sits on the bar
 */
export function casesToSettle(measured: ScoreComparison, keep: number): number {
  const isSettledBy = (cases: number): boolean => judge(keptInterval({ ...measured, cases }), keep) !== "undecided";
  let low = measured.cases;
  let high = measured.cases * EVIDENCE_FACTOR_MAX;
  if (!isSettledBy(high)) return high;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isSettledBy(middle)) high = middle;
    else low = middle;
  }
  return high;
}

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
