// On which cases candidates and their baseline part ways, as far as trials have shown: for each case and for each tag, as
// observed differences over those that the trial's own rate would have led one to expect. So a hopeless candidate, which differs
// everywhere, says nothing, and a close one, which differs here and there, says where. It tells the order of cases
// (case-order.ts) where the next answers are worth most.

/** What the order looks at. */
export interface OrderedCase {
  id: string;
  tags: readonly string[];
}

/** Scores of one case in a trial, 0…1. */
export interface CaseOutcome {
  baseline: number;
  candidate: number;
}

/** Differences of scores under one heading. */
interface Tally {
  observed: number;
  expected: number;
}

/** Rates of the trial that is under way, per case. */
export interface TrialRates {
  baseline: number;
  won: number;
  lost: number;
}

/** Pseudo-differences that hold a ratio back: near 1 for a tag, near its tags' for a case. */
const TAG_INERTIA = 5;
const CASE_INERTIA = 1;
/** What is taken for granted before a trial has shown anything: what usual candidates differ, worth so many cases. */
const PRIOR = { cases: 25, baseline: 0.75, won: 0.01, lost: 0.02 };
const RATE_MAX = 0.95;

export class Contention {
  readonly #byCase = new Map<string, Tally>();
  readonly #byTag = new Map<string, Tally>();

  /** A copy that has also seen the outcomes of one trial, so far. */
  with(cases: readonly OrderedCase[], outcomes: readonly CaseOutcome[]): Contention {
    const copy = new Contention();
    for (const [id, tally] of this.#byCase) copy.#byCase.set(id, { ...tally });
    for (const [tag, tally] of this.#byTag) copy.#byTag.set(tag, { ...tally });
    copy.learn(cases, outcomes);
    return copy;
  }

  /** Takes in the outcomes of one trial. */
  learn(cases: readonly OrderedCase[], outcomes: readonly CaseOutcome[]): void {
    const { won, lost } = ratesOf(outcomes);
    for (const [index, { id, tags }] of cases.entries()) {
      const observed = Math.abs(outcomes[index]!.candidate - outcomes[index]!.baseline);
      add(this.#byCase, id, observed, won + lost);
      for (const tag of tags) add(this.#byTag, tag, observed, won + lost);
    }
  }

  /** True when the baseline's score of a case is known from a trial. */
  knows(id: string): boolean {
    return this.#byCase.has(id);
  }

  /** Predicted rate of difference of a case in a trial of such rates, 0…1. */
  rateOf({ id, tags }: OrderedCase, { won, lost }: TrialRates): number {
    const ratios = tags.map((tag) => ratioOf(this.#byTag.get(tag), 1, TAG_INERTIA));
    const tagged = ratios.length === 0 ? 1 : ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    return Math.min(RATE_MAX, (won + lost) * ratioOf(this.#byCase.get(id), tagged, CASE_INERTIA));
  }
}

/** Rates of a trial from its outcomes so far. */
export function ratesOf(outcomes: readonly CaseOutcome[]): TrialRates {
  const rate = (prior: number, value: (outcome: CaseOutcome) => number): number =>
    (outcomes.reduce((sum, outcome) => sum + value(outcome), 0) + prior * PRIOR.cases) /
    (outcomes.length + PRIOR.cases);
  return {
    baseline: rate(PRIOR.baseline, ({ baseline }) => baseline),
    won: rate(PRIOR.won, ({ baseline, candidate }) => Math.max(0, candidate - baseline)),
    lost: rate(PRIOR.lost, ({ baseline, candidate }) => Math.max(0, baseline - candidate)),
  };
}

function ratioOf(tally: Tally | undefined, prior: number, inertia: number): number {
  return ((tally?.observed ?? 0) + inertia * prior) / ((tally?.expected ?? 0) + inertia);
}

function add(tallies: Map<string, Tally>, key: string, observed: number, expected: number): void {
  const tally = tallies.get(key) ?? { observed: 0, expected: 0 };
  tallies.set(key, { observed: tally.observed + observed, expected: tally.expected + expected });
}
