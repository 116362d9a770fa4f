// The search: screen what fits, walk the front to the smallest candidate that clears the bar, confirm it on fresh evidence.
//
// 1. Screening. Candidates are measured with little text: first those that arithmetic expects on the front, ends first,
//    then halves; then the rest. What another beats in both goal and divergence is out.
// 2. Selection. Along the front quality rises with cost, so bisection finds the cheapest candidate that clears the bar on
//    the selection part. Neighbours that were not screened are, and the bisection goes on between them.
// 3. Confirmation. The choice is judged on the confirmation part, which nothing has seen. If it does not clear, the next
//    dearer one gets a last try: two tries at 2.5 % each keep the chance of a wrong ACCEPT below 5 %. After that
//    the baseline is left, where it fits.
//
// Every measurement goes through `Measurements`, which remembers: the search itself is a pure walk over its answers.
import type { PlannedCandidate } from "./candidates.js";
import { judge, type Judgement } from "./bar.js";
import type { Quality } from "./certificate.js";
import type { EvidencePlan } from "./evidence-plan.js";
import { endsThenHalves, paretoFront } from "./search-order.js";
import type { Part, Screening } from "./yardstick.js";

/** Buys evidence. `undefined` means that the budget is spent, `error` that the engine can't run the candidate. */
export interface Measurements {
  screen(candidate: PlannedCandidate): Promise<Screening | undefined>;
  measure(candidate: PlannedCandidate, part: Part): Promise<Quality | "error" | undefined>;
}

export interface SearchQuestion {
  /** Candidates that fit. */
  candidates: readonly PlannedCandidate[];
  /** What is minimized; less is better. */
  cost: (candidate: PlannedCandidate) => number;
  keep: number;
  plan: EvidencePlan;
  /** Divergence beyond which a candidate, and all whose blocks have no more bits, are not looked at again; in nats. */
  hopelessDivergence?: number;
}

export interface SearchOutcome {
  screened: Map<PlannedCandidate, Screening>;
  selected: Map<PlannedCandidate, Quality>;
  confirmed: Map<PlannedCandidate, Quality>;
  front: PlannedCandidate[];
  winner: PlannedCandidate | undefined;
  /** The candidate that came closest, when there is no winner. */
  closest: PlannedCandidate | undefined;
}

export async function search(question: SearchQuestion, measurements: Measurements): Promise<SearchOutcome> {
  const state = new SearchState(question, measurements);
  await state.screenBroadly();
  await state.selectAlongFront();
  await state.confirm();
  return state.outcome();
}

class SearchState {
  readonly #question: SearchQuestion;
  readonly #measurements: Measurements;
  readonly #byCost: PlannedCandidate[];
  readonly #screened = new Map<PlannedCandidate, Screening>();
  readonly #selected = new Map<PlannedCandidate, Quality>();
  readonly #confirmed = new Map<PlannedCandidate, Quality>();
  #winner: PlannedCandidate | undefined;

  constructor(question: SearchQuestion, measurements: Measurements) {
    this.#question = question;
    this.#measurements = measurements;
    this.#byCost = [...question.candidates].sort(
      (a, b) => question.cost(a) - question.cost(b) || a.sizeBytes - b.sizeBytes || (a.id < b.id ? -1 : 1),
    );
  }

  /** What is expected to be on the front comes first, then the rest; each from its ends inwards. */
  async screenBroadly(): Promise<void> {
    const promising = paretoFront(this.#byCost, this.#question.cost, ({ predictedLoss }) => predictedLoss);
    const rest = this.#byCost.filter((candidate) => !promising.includes(candidate));
    for (const candidate of [...inwards(promising), ...inwards(rest)]) {
      if (this.#screened.size >= this.#question.plan.screens) return;
      if (!this.#isHopeless(candidate)) await this.#screen(candidate);
    }
  }

  /** Bisection for the cheapest that clears; then a closer look between it and the one below. */
  async selectAlongFront(): Promise<void> {
    for (;;) {
      const front = this.#front();
      const [below, clearing] = await this.#bisect(front);
      const between = this.#unscreenedBetween(below, clearing);
      if (between.length === 0 || this.#screened.size >= this.#question.plan.screens) return;
      let added = false;
      for (const index of endsThenHalves(between.length)) {
        if (this.#screened.size >= this.#question.plan.screens) break;
        added = (await this.#screen(between[index]!)) || added;
      }
      if (!added) return;
    }
  }

  async confirm(): Promise<void> {
    for (const candidate of await this.#finalists()) {
      if (candidate.isBaseline) {
        this.#winner = candidate; // it is the baseline: there is nothing to measure
        return;
      }
      const quality = await this.#measurements.measure(candidate, "confirmation");
      if (!quality) return;
      if (quality === "error") continue;
      this.#confirmed.set(candidate, quality);
      if (judge(quality.kept, this.#question.keep) !== "clears") continue;
      this.#winner = candidate;
      return;
    }
  }

  outcome(): SearchOutcome {
    const best = [...this.#confirmed, ...this.#selected].sort(([, a], [, b]) => b.kept.mean - a.kept.mean)[0]?.[0];
    return {
      screened: this.#screened,
      selected: this.#selected,
      confirmed: this.#confirmed,
      front: this.#front(),
      winner: this.#winner,
      closest: best,
    };
  }

  /** True where blocks of as many bits, or more, were already far off: another embedding would not save it. */
  #isHopeless(candidate: PlannedCandidate): boolean {
    const { hopelessDivergence = Infinity } = this.#question;
    for (const [screened, { mean, standardError }] of this.#screened) {
      if (mean - 2 * standardError > hopelessDivergence && candidate.blockBits <= screened.blockBits) return true;
    }
    return false;
  }

  async #screen(candidate: PlannedCandidate): Promise<boolean> {
    if (this.#screened.has(candidate)) return false;
    const screening = candidate.isBaseline
      ? { mean: 0, standardError: 0, tokens: 0 }
      : await this.#measurements.screen(candidate);
    if (screening) this.#screened.set(candidate, screening);
    return screening !== undefined;
  }

  /** Screened candidates that no other beats in cost and divergence, cheapest first. */
  #front(): PlannedCandidate[] {
    return paretoFront(
      [...this.#screened.keys()],
      this.#question.cost,
      (candidate) => this.#screened.get(candidate)!.mean,
    );
  }

  /** @returns the dearest candidate below the bar and the cheapest that clears it, as far as selections went */
  async #bisect(
    front: readonly PlannedCandidate[],
  ): Promise<[below: PlannedCandidate | undefined, clearing: PlannedCandidate | undefined]> {
    let low = -1;
    let high = front.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      const judgement = await this.#select(front[middle]!);
      if (judgement === undefined) break;
      if (judgement === "clears") high = middle;
      else low = middle;
    }
    return [front[low], front[high]];
  }

  async #select(candidate: PlannedCandidate): Promise<Judgement | undefined> {
    if (candidate.isBaseline) return "clears";
    if (!this.#selected.has(candidate)) {
      if (this.#selected.size >= this.#question.plan.selections) return undefined;
      const quality = await this.#measurements.measure(candidate, "selection");
      if (!quality) return undefined;
      if (quality === "error") return "fails"; // what the engine can't run is no answer
      this.#selected.set(candidate, quality);
    }
    return judge(this.#selected.get(candidate)!.kept, this.#question.keep);
  }

  #unscreenedBetween(below: PlannedCandidate | undefined, clearing: PlannedCandidate | undefined): PlannedCandidate[] {
    const { cost } = this.#question;
    const least = below ? cost(below) : -Infinity;
    const most = clearing ? cost(clearing) : Infinity;
    return this.#byCost.filter(
      (candidate) =>
        !this.#screened.has(candidate) &&
        !this.#isHopeless(candidate) &&
        cost(candidate) > least &&
        cost(candidate) < most,
    );
  }

  /** The cheapest that cleared, then the next dearer on the front, then the baseline; or, when none cleared, the most promising. */
  async #finalists(): Promise<PlannedCandidate[]> {
    const { keep, cost, plan } = this.#question;
    const front = this.#front();
    const first = front.find(
      (candidate) =>
        candidate.isBaseline ||
        (this.#selected.has(candidate) && judge(this.#selected.get(candidate)!.kept, keep) === "clears"),
    );
    if (first) {
      const dearer = front.filter((candidate) => cost(candidate) > cost(first) && !candidate.isBaseline);
      const tries = [first, ...dearer].slice(0, first.isBaseline ? 1 : plan.confirmations);
      // The baseline keeps all of its own quality: it needs no try, and is left when all tries failed.
      return [...tries, ...this.#byCost.filter((candidate) => candidate.isBaseline && candidate !== first)];
    }
    return [...this.#selected]
      .filter(([, quality]) => quality.kept.mean >= keep)
      .sort(([, a], [, b]) => b.kept.mean - a.kept.mean)
      .map(([candidate]) => candidate)
      .slice(0, 1);
  }
}

function inwards<T>(items: readonly T[]): T[] {
  return endsThenHalves(items.length).map((index) => items[index]!);
}
