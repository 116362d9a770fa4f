// A test by betting: is the mean of a finite set of bounded numbers above 0? Money is staked on every number that is drawn,
// on terms that are fair if the mean is 0; who multiplies it by 1/α has evidence at level α, whenever that happens (Ville,
// 1939). So a run may stop as soon as the answer is clear. Waudby-Smith and Ramdas, 2024, "Estimating means of bounded
// random variables by betting", arXiv:2010.09686; without replacement: the same, 2020, arXiv:2006.04347; drawn with unequal
// probabilities: Shekhar et al., 2023, "Risk-limiting financial audits via weighted sampling without replacement",
// arXiv:2305.06884.
//
// After numbers with sum S were drawn, one of the rest is drawn with probability q. Then Z = (S + x/q) / N has the mean of the
// whole set as its expectation, whatever q is, as long as q was fixed before the draw. The stake is a share of all that can be
// lost on Z. Several shares are kept side by side and averaged: an average of fair games is a fair game, and it grows almost
// as the best of them does.

/** Shares of the most that may be staked, and how much of the money plays each. Most cases that are compared agree, so daring shares get more. */
export const STAKES = [
  { share: 0.99, weight: 4 / 11 },
  { share: 0.7, weight: 3 / 11 },
  { share: 0.4, weight: 2 / 11 },
  { share: 0.2, weight: 1 / 11 },
  { share: 0.08, weight: 1 / 11 },
] as const;

/** How a number came to be drawn. */
export interface Chance {
  /** Probability with which it was drawn, among those that were left. */
  probability: number;
  /** The least probability that any of those had. */
  least: number;
}

/** Money staked on the mean of numbers in [lowest, …) being above 0. */
export class Bet {
  readonly #size: number;
  readonly #lowest: number;
  /** ln of the money that plays each share, its own start apart. */
  readonly gains: Float64Array = new Float64Array(STAKES.length);
  #sum = 0;
  #logWealth = 0;
  #logWealthMost = 0;

  /**
   * @param size of the set; Infinity for numbers that are drawn independently, all with the same probability
   * @param lowest what no number is below; negative
   */
  constructor(size: number, lowest: number) {
    this.#size = size;
    this.#lowest = lowest;
  }

  /** ln of the money there is, of 1 at the start. */
  get logWealth(): number {
    return this.#logWealth;
  }

  /** ln of the most money there ever was: it is what counts against 1/α. */
  get logWealthMost(): number {
    return this.#logWealthMost;
  }

  /** Plays one draw. */
  add(value: number, { probability, least }: Chance): void {
    const isFinite = this.#size !== Infinity;
    const before = isFinite ? this.#sum / this.#size : 0;
    const atWorst = before + this.#lowest / (isFinite ? least * this.#size : 1);
    this.#sum += value;
    if (atWorst >= 0) {
      this.#logWealth = this.#logWealthMost = Infinity; // whatever is left, the mean is above 0
      return;
    }
    const gain = (before + value / (isFinite ? probability * this.#size : 1)) / -atWorst;
    for (const [index, { share }] of STAKES.entries()) this.gains[index]! += Math.log1p(share * gain);
    this.#logWealth = logAverage(this.gains, 1);
    if (this.#logWealth > this.#logWealthMost) this.#logWealthMost = this.#logWealth;
  }
}

/**
 * ln of all the money when each share's gains are taken `times`.
 *
 * @param gains ln of what each share made of 1, in the order of {@link STAKES}
 */
export function logAverage(gains: Float64Array, times: number): number {
  let most = -Infinity;
  for (const gain of gains) if (gain * times > most) most = gain * times;
  let sum = 0;
  for (const [index, { weight }] of STAKES.entries()) sum += weight * Math.exp(gains[index]! * times - most);
  return most + Math.log(sum);
}
