// The share of a baseline's score that a candidate keeps, case by case on the same cases, with an interval that holds at
// every moment: look after each case, stop when you like. "It keeps more than k" means that the mean of candidate - k · baseline
// is above 0, so each k is a test by betting of its own (betting.ts), and the interval is the k that no test has refuted.
import { Bet, type Chance, logAverage } from "./betting.js";
import type { Interval } from "./statistics.js";

/** One case that was drawn and run. */
export interface PairedDraw extends Chance {
  /** Scores, 0…1. */
  baseline: number;
  candidate: number;
}

export type Standing = "clears" | "fails" | "undecided";

export interface SequenceOptions {
  /** Share of the baseline's score to keep. */
  keep: number;
  /** Cases that the claim is about; Infinity for all cases like those drawn. */
  size: number;
  /** Chance of a wrong claim on each side. */
  alpha: number;
}

/** The comparison with the bar, draw by draw. */
export class PairedSequence {
  readonly draws: PairedDraw[] = [];
  readonly #options: SequenceOptions;
  readonly #above: Bet;
  readonly #below: Bet;

  constructor(options: SequenceOptions) {
    this.#options = options;
    this.#above = betAbove(options.size, options.keep);
    this.#below = betBelow(options.size);
  }

  /** Cases that the claim is about. */
  get size(): number {
    return this.#options.size;
  }

  add(draw: PairedDraw): void {
    const difference = draw.candidate - this.#options.keep * draw.baseline;
    this.draws.push(draw);
    this.#above.add(difference, draw);
    this.#below.add(-difference, draw);
  }

  /** What is certain by now. Once all cases were drawn there is nothing left to be unsure of. */
  get standing(): Standing {
    const { keep, size, alpha } = this.#options;
    if (this.draws.length === size) return exactShare(this.draws) >= keep ? "clears" : "fails";
    if (this.#above.logWealthMost >= -Math.log(alpha)) return "clears";
    return this.#below.logWealthMost >= -Math.log(alpha) ? "fails" : "undecided";
  }

  /**
   * How many more draws would settle it, if they go on as they went: each share's gains grow in proportion.
   *
   * @returns 0 where it is settled; at most what is left of the cases, or a thousand times the draws so far
   */
  get drawsToSettle(): number {
    const { size, alpha } = this.#options;
    const drawn = this.draws.length;
    if (this.standing !== "undecided") return 0;
    const most = size === Infinity ? DRAWS_FACTOR_MAX * drawn : size - drawn;
    const isSettledBy = (more: number): boolean =>
      [this.#above, this.#below].some(({ gains }) => logAverage(gains, (drawn + more) / drawn) >= -Math.log(alpha));
    let [low, high] = [0, most];
    if (drawn === 0 || !isSettledBy(high)) return most;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (isSettledBy(middle)) high = middle;
      else low = middle;
    }
    return high;
  }

  /** The share kept, with an interval that agrees with the standing. */
  kept(): Interval {
    const { keep, size, alpha } = this.#options;
    const interval = keptSequence(this.draws, size, alpha);
    if (this.draws.length === size) return interval;
    // The interval is searched in steps; the bar itself was tested exactly.
    if (this.standing === "clears") return withinInterval({ ...interval, low: Math.max(interval.low, keep) });
    if (this.standing === "fails") return withinInterval({ ...interval, high: Math.min(interval.high, belowOf(keep)) });
    return withinInterval({
      ...interval,
      low: Math.min(interval.low, belowOf(keep)),
      high: Math.max(interval.high, keep),
    });
  }
}

/** Searches no further than this many times what was measured. */
const DRAWS_FACTOR_MAX = 1000;
/** Nobody keeps more than a hundred times a score. */
const KEPT_MAX = 100;
/** Halvings of an interval of shares: to a millionth. */
const STEPS = 27;

/**
 * The share kept and its confidence sequence, from all draws in the order in which they were drawn.
 *
 * @param size of the set; Infinity for cases like those drawn
 * @param alpha chance on each side that the interval is ever wrong
 */
export function keptSequence(draws: readonly PairedDraw[], size: number, alpha: number): Interval {
  if (draws.length === size) {
    const share = exactShare(draws);
    return { mean: share, low: share, high: share };
  }
  const isRefuted = (keep: number, side: "above" | "below"): boolean => {
    const bet = side === "above" ? betAbove(size, keep) : betBelow(size);
    const sign = side === "above" ? 1 : -1;
    for (const draw of draws) {
      bet.add(sign * (draw.candidate - keep * draw.baseline), draw);
      if (bet.logWealthMost >= -Math.log(alpha)) return true;
    }
    return false;
  };
  const mean = estimateShare(draws, size);
  const low = boundary((keep) => isRefuted(keep, "above"), 0, Math.min(KEPT_MAX, mean));
  const high = boundary((keep) => isRefuted(keep, "below"), KEPT_MAX, Math.min(KEPT_MAX, mean));
  return withinInterval({ mean, low, high });
}

/** The mean score of one side of the draws: a share of a baseline that always scores 1. */
export function scoreSequence(
  draws: readonly PairedDraw[],
  side: "baseline" | "candidate",
  size: number,
  alpha: number,
): Interval {
  const scores = draws.map((draw) => ({ ...draw, baseline: 1, candidate: draw[side] }));
  const { mean, low, high } = keptSequence(scores, size, alpha);
  return { mean, low, high: Math.min(1, high) };
}

/**
 * An estimate of the mean over the whole set of anything that the draws show, without bias from unequal probabilities: the
 * mean of Z over the draws.
 */
export function weightedMean(draws: readonly PairedDraw[], value: (draw: PairedDraw) => number, size: number): number {
  const isUniform = size === Infinity || draws.every(({ probability, least }) => probability <= least * (1 + 1e-9));
  let sum = 0;
  let estimates = 0;
  for (const draw of draws) {
    estimates += isUniform ? 0 : (sum + value(draw) / draw.probability) / size;
    sum += value(draw);
  }
  return isUniform || draws.length === size ? sum / draws.length : estimates / draws.length;
}

/** Money on the mean of candidate - keep · baseline being above 0; no difference is below -keep. */
function betAbove(size: number, keep: number): Bet {
  return new Bet(size, -Math.max(keep, Number.EPSILON));
}

/** Money on the mean of keep · baseline - candidate being above 0; no difference is below -1. */
function betBelow(size: number): Bet {
  return new Bet(size, -1);
}

function exactShare(draws: readonly PairedDraw[]): number {
  const total = (side: "baseline" | "candidate"): number => draws.reduce((sum, draw) => sum + draw[side], 0);
  const [baseline, candidate] = [total("baseline"), total("candidate")];
  if (baseline === 0) return candidate > 0 ? KEPT_MAX : 1;
  return candidate / baseline;
}

function estimateShare(draws: readonly PairedDraw[], size: number): number {
  const baseline = weightedMean(draws, (draw) => draw.baseline, size);
  const candidate = weightedMean(draws, (draw) => draw.candidate, size);
  if (!(baseline > 0)) return candidate > 0 ? KEPT_MAX : 1;
  return candidate / baseline;
}

/** The last refuted share on the way from `outer`, which lies in the refuted direction, to `inner`; `outer` where nothing is refuted. */
function boundary(isRefuted: (keep: number) => boolean, outer: number, inner: number): number {
  if (!isRefuted(outer)) return outer;
  let [refuted, open] = [outer, inner];
  for (let step = 0; step < STEPS; step++) {
    const middle = (refuted + open) / 2;
    if (isRefuted(middle)) refuted = middle;
    else open = middle;
  }
  return refuted;
}

function withinInterval({ mean, low, high }: Interval): Interval {
  return { mean: Math.min(high, Math.max(low, mean)), low, high };
}

/** The greatest share below the bar. */
function belowOf(keep: number): number {
  return keep - 1e-9;
}
