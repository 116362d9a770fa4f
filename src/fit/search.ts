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
// Mixes of a model are made one by one, and searched by halving (mix-search.ts).
//
// Several base models race under one budget (race.ts): each is a family, searched like this on its own, with divergence from its own
// original, because only that is comparable; what costs more than a candidate that cleared in another family is not looked at.
//
// Every measurement goes through `Measurements`, which remembers: the search itself is a pure walk over its answers.
import { ORIGINAL, type PlannedCandidate } from "./candidates.js";
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
  /** Why a candidate was left out before it was measured, where more than its neighbours' results spoke against it. */
  dropped: Map<PlannedCandidate, string>;
}

export async function search(question: SearchQuestion, measurements: Measurements): Promise<SearchOutcome> {
  const state = new SearchState(question, measurements);
  await state.explore();
  const { winner, confirmed } = await confirm(state.finalists(), question.keep, measurements);
  return outcomeOf([state], winner, confirmed);
}

/** Judges candidates on fresh evidence, one after the other, until one clears. */
export async function confirm(
  finalists: readonly PlannedCandidate[],
  keep: number,
  measurements: Measurements,
): Promise<Pick<SearchOutcome, "winner" | "confirmed">> {
  const confirmed = new Map<PlannedCandidate, Quality>();
  for (const candidate of finalists) {
    if (candidate.isBaseline) return { winner: candidate, confirmed }; // it is the baseline: there is nothing to measure
    const quality = await measurements.measure(candidate, "confirmation");
    if (!quality) break;
    if (quality === "error") continue;
    confirmed.set(candidate, quality);
    if (judge(quality.kept, keep) === "clears") return { winner: candidate, confirmed };
  }
  return { winner: undefined, confirmed };
}

/** What searches of one or several families come to. */
export function outcomeOf(
  states: readonly SearchState[],
  winner: PlannedCandidate | undefined,
  confirmed: SearchOutcome["confirmed"],
): SearchOutcome {
  const selected = new Map(states.flatMap((state) => [...state.selected]));
  return {
    screened: new Map(states.flatMap((state) => [...state.screened])),
    selected,
    confirmed,
    front: frontsOf(states),
    winner,
    closest: [...confirmed, ...selected].sort(([, a], [, b]) => b.kept.mean - a.kept.mean)[0]?.[0],
    dropped: new Map(states.flatMap((state) => [...state.dropped])),
  };
}

/** Of each model what no other candidate made of it beats, whatever family that is of. */
function frontsOf(states: readonly SearchState[]): PlannedCandidate[] {
  const all = states.flatMap((state) => state.front());
  const cost = states[0]!.question.cost;
  const divergence = new Map(states.flatMap((state) => [...state.screened]));
  return [...new Set(all.map(({ base }) => base))].flatMap((base) =>
    paretoFront(
      all.filter((one) => one.base === base),
      cost,
      (one) => divergence.get(one)!.mean,
    ),
  );
}

/** The search of one family of candidates. */
export class SearchState {
  readonly question: SearchQuestion;
  readonly #measurements: Measurements;
  readonly #byCost: PlannedCandidate[];
  readonly screened = new Map<PlannedCandidate, Screening>();
  readonly selected = new Map<PlannedCandidate, Quality>();
  readonly dropped = new Map<PlannedCandidate, string>();

  constructor(question: SearchQuestion, measurements: Measurements) {
    this.question = question;
    this.#measurements = measurements;
    this.#byCost = [...question.candidates].sort(
      (a, b) => question.cost(a) - question.cost(b) || a.sizeBytes - b.sizeBytes || (a.id < b.id ? -1 : 1),
    );
  }

  /** Finds the cheapest that clears the bar on the selection part. */
  async explore(): Promise<void> {
    await this.screenBroadly();
    await this.selectAlongFront();
  }

  /** What is expected to be on the front comes first, then the rest; each from its ends inwards. */
  async screenBroadly(): Promise<void> {
    const promising = paretoFront(this.#byCost, this.question.cost, ({ predictedLoss }) => predictedLoss);
    const rest = this.#byCost.filter((candidate) => !promising.includes(candidate));
    for (const candidate of [...inwards(promising), ...inwards(rest)]) {
      if (this.screened.size >= this.question.plan.screens) return;
      if (!this.#isOut(candidate)) await this.screen(candidate);
    }
  }

  /** Bisection for the cheapest that clears; then a closer look between it and the one below. */
  async selectAlongFront(): Promise<void> {
    for (;;) {
      const front = this.front();
      const [below, clearing] = await this.#bisect(front);
      const between = this.#unscreenedBetween(below, clearing);
      if (between.length === 0 || this.screened.size >= this.question.plan.screens) return;
      let added = false;
      for (const index of endsThenHalves(between.length)) {
        if (this.screened.size >= this.question.plan.screens) break;
        added = (await this.screen(between[index]!)) !== undefined || added;
      }
      if (!added) return;
    }
  }

  /** The candidate that loses least: where it fails, nothing of this family is to be expected to clear. */
  get head(): PlannedCandidate {
    return this.#byCost.reduce((best, one) => (one.predictedLoss < best.predictedLoss ? one : best));
  }

  /** The candidates that have cleared the bar on the selection part, cheapest first. */
  get cleared(): PlannedCandidate[] {
    const { keep } = this.question;
    return this.#byCost.filter((one) => {
      const quality = this.selected.get(one);
      return quality !== undefined && judge(quality.kept, keep) === "clears";
    });
  }

  get byCost(): readonly PlannedCandidate[] {
    return this.#byCost;
  }

  /** Leaves out what costs as much as a bound or more, and what was left out already stays out. */
  drop(isOut: (candidate: PlannedCandidate) => boolean, reason: string): void {
    for (const candidate of this.#byCost) {
      if (isOut(candidate) && !this.dropped.has(candidate) && !this.selected.has(candidate)) {
        this.dropped.set(candidate, reason);
      }
    }
  }

  /** True where blocks of as many bits, or more, were already far off: another embedding would not save it. */
  #isOut(candidate: PlannedCandidate): boolean {
    if (this.dropped.has(candidate)) return true;
    for (const [screened, screening] of this.screened) {
      if (!(isHopeless(screening, this.question) && candidate.blockBits <= screened.blockBits)) continue;
      if (!this.screened.has(candidate)) {
        this.dropped.set(
          candidate,
          `${screened.name}, whose blocks have no fewer bits, diverges by ${screening.mean.toPrecision(3)} nats already`,
        );
      }
      return true;
    }
    return false;
  }

  /** @returns what was measured, now or before; undefined where it can't be any more */
  protected async screen(candidate: PlannedCandidate): Promise<Screening | undefined> {
    const known = this.screened.get(candidate);
    if (known) return known;
    const screening = isOriginal(candidate)
      ? { mean: 0, standardError: 0, tokens: 0 }
      : await this.#measurements.screen(candidate);
    if (screening) this.screened.set(candidate, screening);
    return screening;
  }

  /** Screened candidates that no other beats in cost and divergence, cheapest first. */
  front(): PlannedCandidate[] {
    return paretoFront(
      [...this.screened.keys()].filter((candidate) => !this.dropped.has(candidate)),
      this.question.cost,
      (candidate) => this.screened.get(candidate)!.mean,
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
      const judgement = await this.select(front[middle]!);
      if (judgement === undefined) break;
      if (judgement === "clears") high = middle;
      else low = middle;
    }
    return [front[low], front[high]];
  }

  async select(candidate: PlannedCandidate): Promise<Judgement | undefined> {
    if (candidate.isBaseline) return "clears";
    if (!this.selected.has(candidate)) {
      if (this.selected.size >= this.question.plan.selections) return undefined;
      const quality = await this.#measurements.measure(candidate, "selection");
      if (!quality) return undefined;
      if (quality === "error") return "fails"; // what the engine can't run is no answer
      this.selected.set(candidate, quality);
    }
    return judge(this.selected.get(candidate)!.kept, this.question.keep);
  }

  #unscreenedBetween(below: PlannedCandidate | undefined, clearing: PlannedCandidate | undefined): PlannedCandidate[] {
    const { cost } = this.question;
    const least = below ? cost(below) : -Infinity;
    const most = clearing ? cost(clearing) : Infinity;
    return this.#byCost.filter(
      (candidate) =>
        !this.screened.has(candidate) && !this.#isOut(candidate) && cost(candidate) > least && cost(candidate) < most,
    );
  }

  /** The cheapest that cleared, then the next dearer on the front, then the baseline; or, when none cleared, the most promising. */
  finalists(): PlannedCandidate[] {
    const { keep, cost, plan } = this.question;
    const front = this.front();
    const first = front.find(
      (candidate) =>
        candidate.isBaseline ||
        (this.selected.has(candidate) && judge(this.selected.get(candidate)!.kept, keep) === "clears"),
    );
    if (first) {
      const dearer = front.filter((candidate) => cost(candidate) > cost(first) && !candidate.isBaseline);
      const tries = [first, ...dearer].slice(0, first.isBaseline ? 1 : plan.confirmations);
      // The baseline keeps all of its own quality: it needs no try, and is left when all tries failed.
      return [...tries, ...this.#byCost.filter((candidate) => candidate.isBaseline && candidate !== first)];
    }
    return [...this.selected]
      .filter(([, quality]) => quality.kept.mean >= keep)
      .sort(([, a], [, b]) => b.kept.mean - a.kept.mean)
      .map(([candidate]) => candidate)
      .slice(0, 1);
  }
}

/** True where a divergence is so large that the task is not worth trying. */
export function isHopeless(
  { mean, standardError }: Screening,
  { hopelessDivergence = Infinity }: Pick<SearchQuestion, "hopelessDivergence">,
): boolean {
  return mean - 2 * standardError > hopelessDivergence;
}

/** True for a model that is left as it is, which does not diverge from itself. */
export function isOriginal({ isBaseline, name }: Pick<PlannedCandidate, "isBaseline" | "name">): boolean {
  return isBaseline || name === ORIGINAL;
}

function inwards<T>(items: readonly T[]): T[] {
  return endsThenHalves(items.length).map((index) => items[index]!);
}
