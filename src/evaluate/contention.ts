// On which cases candidates and their baseline part ways, as far as trials have shown: for each case, for each tag, and over
// all. It tells the order of cases (case-order.ts) where the next answers are worth most.

/** What the order looks at. */
export interface OrderedCase {
  id: string;
  tags: readonly string[];
}

/** How often outcomes differed, of how many. */
interface Tally {
  seen: number;
  differed: number;
}

/** Pseudo-counts: what the tags say weighs as much as so many trials of a case, and the pool as so many cases of a tag. */
const TAG_WEIGHT = 1;
const POOL_WEIGHT = 8;

/** What trials have shown about cases: where scores differ from the baseline's. */
export class Contention {
  readonly #byCase = new Map<string, Tally>();
  readonly #byTag = new Map<string, Tally>();
  #seen = 0;
  #won = 0;
  #lost = 0;
  #baseline = 0;

  /** A copy that a trial can add its own outcomes to. */
  fork(): Contention {
    const copy = new Contention();
    for (const [id, tally] of this.#byCase) copy.#byCase.set(id, { ...tally });
    for (const [tag, tally] of this.#byTag) copy.#byTag.set(tag, { ...tally });
    [copy.#seen, copy.#won, copy.#lost, copy.#baseline] = [this.#seen, this.#won, this.#lost, this.#baseline];
    return copy;
  }

  learn(taskCase: OrderedCase, { baseline, candidate }: { baseline: number; candidate: number }): void {
    const difference = Math.abs(candidate - baseline);
    this.#seen++;
    this.#baseline += baseline;
    this.#won += Math.max(0, candidate - baseline);
    this.#lost += Math.max(0, baseline - candidate);
    count(this.#byCase, taskCase.id, difference);
    for (const tag of taskCase.tags) count(this.#byTag, tag, difference);
  }

  /** True when the baseline's score of a case is known from a trial. */
  knows(id: string): boolean {
    return this.#byCase.has(id);
  }

  /** Mean scores so far, smoothed so that nothing is impossible. */
  get rates(): { baseline: number; won: number; lost: number } {
    const of = (sum: number): number => (sum + 0.5) / (this.#seen + 1);
    return { baseline: of(this.#baseline), won: of(this.#won), lost: of(this.#lost) };
  }

  /** Predicted rate of difference of a case, 0…1. */
  rateOf({ id, tags }: OrderedCase): number {
    const pool = Math.min(1, (this.#won + this.#lost + 0.5) / (this.#seen + 1));
    const tagged = tags.map((tag) => smoothed(this.#byTag.get(tag), pool, POOL_WEIGHT));
    const expected = tagged.length === 0 ? pool : tagged.reduce((sum, rate) => sum + rate, 0) / tagged.length;
    return smoothed(this.#byCase.get(id), expected, TAG_WEIGHT);
  }
}

function count(tallies: Map<string, Tally>, key: string, difference: number): void {
  const { seen, differed } = tallies.get(key) ?? { seen: 0, differed: 0 };
  tallies.set(key, { seen: seen + 1, differed: differed + difference });
}

function smoothed(tally: Tally | undefined, prior: number, weight: number): number {
  return ((tally?.differed ?? 0) + weight * prior) / ((tally?.seen ?? 0) + weight);
}
