// In which order to run the cases of a task: those that tell candidates apart first. What tells them apart is learned from the
// trials themselves: on which cases, and under which tags, scores have differed from the baseline's so far. A case is
// drawn at random, more likely the more it promises, with a probability that is fixed before the draw and kept with it, so that
// the estimates can make up for it (betting.ts). Where nothing is known, or where a skew would cost more than it brings, all
// cases are equally likely.
//
// A skew costs, because what is drawn rarely counts the more when it is drawn: less can be staked. So the growth of the
// stake is predicted for a few skews, per call of a model, and the best is taken.
import type { Random } from "../support/random.js";
import { type Chance, STAKES } from "./betting.js";
import type { Contention, OrderedCase, TrialRates } from "./contention.js";

/** Exponents of the predicted rate of difference; a half is Neyman's allocation (1934). */
const SKEWS = [0, 0.25, 0.5, 0.75] as const;
/** Exponents of what a case costs: 2 calls, or 1 where the baseline's answer is known. */
const THRIFTS = [0, 0.5, 1] as const;
/** A skew must promise so much more growth than none: predictions are noisy. */
const GAIN_MIN = 1.05;

/** Draws the cases of a task without replacement. */
export class CaseOrder<Case extends OrderedCase> {
  readonly #random: Random;
  readonly #left: { taskCase: Case; weight: number }[];

  constructor(cases: readonly Case[], random: Random) {
    this.#random = random;
    this.#left = cases.map((taskCase) => ({ taskCase, weight: 1 }));
  }

  /** Weighs the cases that are left by what is known now. */
  weigh(contention: Contention, rates: TrialRates, keep: number): void {
    const groups = new Map<string, Prospect>();
    const prospects = this.#left.map(({ taskCase }) => {
      const [rate, calls] = [contention.rateOf(taskCase, rates), contention.knows(taskCase.id) ? 1 : 2];
      const known = groups.get(`${rate} ${calls}`);
      if (known) known.count++;
      else groups.set(`${rate} ${calls}`, { rate, calls, count: 1 });
      return { rate, calls };
    });
    const weigh = bestWeight([...groups.values()], rates, keep);
    for (const [index, entry] of this.#left.entries()) entry.weight = weigh(prospects[index]!);
  }

  /** The next case; undefined when all were drawn. */
  draw(): (Chance & { taskCase: Case }) | undefined {
    const left = this.#left;
    if (left.length === 0) return undefined;
    let lightest = Infinity;
    let total = 0;
    for (const { weight } of left) {
      total += weight;
      if (weight < lightest) lightest = weight;
    }
    let place = this.#random.next() * total;
    let index = 0;
    while (index < left.length - 1 && (place -= left[index]!.weight) >= 0) index++;
    const { taskCase, weight } = left[index]!;
    left[index] = left.at(-1)!;
    left.pop();
    return { taskCase, probability: weight / total, least: lightest / total };
  }
}

/** What can be said of cases before they are drawn, and how many it is said of. */
interface Prospect {
  /** Predicted rate of difference between candidate and baseline. */
  rate: number;
  /** Calls of a model that each costs. */
  calls: number;
  count: number;
}

/** The weight that promises the fastest growth of the stake per call. */
function bestWeight(prospects: readonly Prospect[], rates: TrialRates, keep: number): Weigh {
  let best = { weigh: (() => 1) as Weigh, growth: GAIN_MIN * growthPerCall(prospects, () => 1, rates, keep) };
  for (const skew of SKEWS) {
    for (const thrift of THRIFTS) {
      const weigh: Weigh = ({ rate, calls }) => rate ** skew * calls ** -thrift;
      const growth = growthPerCall(prospects, weigh, rates, keep);
      if (growth > best.growth) best = { weigh, growth };
    }
  }
  return best.weigh;
}

type Weigh = (prospect: Omit<Prospect, "count">) => number;

/**
 * Expected growth of ln money per call, for the better of the two bets with its best stake: E ln(1 + share · gain), where a draw of
 * weight w moves the mean by its difference · least weight / w.
 */
function growthPerCall(
  prospects: readonly Prospect[],
  weigh: Weigh,
  { baseline, won, lost }: TrialRates,
  keep: number,
): number {
  const weights = prospects.map(weigh);
  const lightest = Math.min(...weights);
  const total = prospects.reduce((sum, { count }, index) => sum + count * weights[index]!, 0);
  const agreed = (1 - keep) * baseline; // mean of candidate - keep · baseline where both agree
  const bets = STAKES.flatMap(({ share }) => [share / keep, -share]).map((stake) => ({ stake, growth: 0 }));
  let callsEach = 0;
  for (const [index, { rate, calls, count }] of prospects.entries()) {
    const scale = lightest / weights[index]!;
    const chance = (count * weights[index]!) / total;
    const wins = (rate * won) / (won + lost);
    callsEach += chance * calls;
    for (const bet of bets) {
      const stake = bet.stake * scale;
      bet.growth +=
        chance *
        (wins * Math.log1p(stake) +
          (rate - wins) * Math.log1p(-stake * keep) +
          (1 - rate) * Math.log1p(stake * agreed));
    }
  }
  return Math.max(0, ...bets.map(({ growth }) => growth)) / callsEach;
}
