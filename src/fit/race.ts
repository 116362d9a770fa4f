// Several base models, adapted or distilled ones among them, under one budget. Each is a family: its candidates are compared by their
// divergence from its own original, which needs one vocabulary, and judged by the task against the one baseline, which does not.
//
// 1. Of every family but the baseline's, the candidate that loses least is tried first. Where even that misses the bar, rounding it
//    further will not clear it, and the family is out for the price of one trial. Mixes go with it where that was the original;
//    where only a preset fits or was asked for, they get a trial of their own.
// 2. The families that are left are searched in the order of their cheapest candidate. Whatever costs as much as a candidate that
//    has cleared, or more, is dominated: it is never screened.
//    Mixes of a model are a family of their own (mix-search.ts), searched last: those are made one by one.
// 3. The cheapest of all that cleared is confirmed on fresh evidence; then the next dearer one gets the last try; then the baseline.
import type { PlannedCandidate } from "./candidates.js";
import type { EvidencePlan } from "./evidence-plan.js";
import { MixSearch } from "./mix-search.js";
import {
  type Measurements,
  type SearchOutcome,
  type SearchQuestion,
  SearchState,
  confirm,
  outcomeOf,
  isOriginal,
  search,
} from "./search.js";

/** Fewer screenings would not find a family's front. */
const SCREENS_MIN = 4;

/** Searches all families; with one, that is `search()`. */
export async function race(question: SearchQuestion, measurements: Measurements): Promise<SearchOutcome> {
  const families = familiesOf(question.candidates);
  if (families.length === 1 && !isOfMixes(families[0]!)) return search(question, measurements);
  const plan = sharedPlan(question.plan, families.filter((family) => !isOfMixes(family)).length);
  const states = families.map((candidates) => {
    const State = isOfMixes(candidates) ? MixSearch : SearchState;
    return new State({ ...question, candidates, plan }, measurements);
  });
  const running = await qualify(states);
  await searchInTurn(running, question);
  const { winner, confirmed } = await confirm(finalistsOf(running, question), question.keep, measurements);
  return outcomeOf(states, winner, confirmed);
}

/** Candidates by the model that they are made of, mixes apart, in the order of the request. */
function familiesOf(candidates: readonly PlannedCandidate[]): PlannedCandidate[][] {
  const families = new Map<string, PlannedCandidate[]>();
  for (const candidate of candidates) {
    const key = `${candidate.base?.sha256 ?? ""}${candidate.mix ? " mixes" : ""}`;
    families.set(key, [...(families.get(key) ?? []), candidate]);
  }
  return [...families.values()];
}

function isOfMixes([first]: readonly PlannedCandidate[]): boolean {
  return first!.mix !== undefined;
}

function sharedPlan(plan: EvidencePlan, families: number): EvidencePlan {
  return { ...plan, screens: Math.max(SCREENS_MIN, Math.floor(plan.screens / Math.max(1, families))) };
}

/** @returns the families whose best candidate may clear the bar; those of the baseline always do */
async function qualify(states: readonly SearchState[]): Promise<SearchState[]> {
  const models = [...new Set(states.map((state) => state.head.base))];
  if (models.length === 1) return [...states];
  const running: SearchState[] = [];
  for (const model of models) {
    const own = states.filter((state) => state.head.base === model);
    running.push(...(await qualifyOwn(own.sort((a, b) => Number(isOfMixes(a.byCost)) - Number(isOfMixes(b.byCost))))));
  }
  return running;
}

/** Where the model as it is misses the bar, so do its mixes; a preset says nothing of those, which may lose less. */
async function qualifyOwn(own: readonly SearchState[]): Promise<readonly SearchState[]> {
  const [first, ...others] = own;
  if (!first) return [];
  if (await mayClear(first)) return own;
  const { head, byCost } = first;
  const isBound = byCost.some(isOriginal);
  const reason = `${head.name}, the ${isOfMixes(byCost) ? "largest mix" : "best"} of this model, misses the bar already`;
  for (const state of isBound ? own : [first]) state.drop((candidate) => candidate !== head, reason);
  return isBound ? [] : qualifyOwn(others);
}

async function mayClear(state: SearchState): Promise<boolean> {
  return state.byCost.some(({ isBaseline }) => isBaseline) || (await state.select(state.head)) !== "fails";
}

/** What is made in a moment first, then mixes, each from the cheapest on: what costs more than one that has cleared is never made. */
async function searchInTurn(states: readonly SearchState[], { cost }: SearchQuestion): Promise<void> {
  const cheapest = (state: SearchState): number => cost(state.byCost[0]!);
  const late = (state: SearchState): number => Number(isOfMixes(state.byCost));
  let bound: PlannedCandidate | undefined;
  for (const state of [...states].sort((a, b) => late(a) - late(b) || cheapest(a) - cheapest(b))) {
    const dearest = bound;
    if (dearest) {
      const isOwn = dearest.base === state.head.base;
      const reason = isOwn
        ? `what costs no more, ${dearest.name}, has cleared the bar`
        : `${dearest.base.name}: ${dearest.name} costs no more and has cleared the bar`;
      state.drop((candidate) => cost(candidate) >= cost(dearest) && !candidate.isBaseline, reason);
    }
    if (state.byCost.every((candidate) => state.dropped.has(candidate))) continue;
    await state.explore();
    const best = state.cleared[0];
    if (best && (!bound || cost(best) < cost(bound))) bound = best;
  }
}

/** Two tries: the cheapest that cleared in any family, and the next dearer one; then the baseline. Or the most promising of all. */
function finalistsOf(states: readonly SearchState[], { cost, plan }: SearchQuestion): PlannedCandidate[] {
  const cleared = states.flatMap((state) => state.cleared).sort((a, b) => cost(a) - cost(b));
  const baseline = states.flatMap((state) => state.byCost.filter(({ isBaseline }) => isBaseline));
  const first = cleared[0];
  if (!first || baseline.some((one) => cost(one) <= cost(first))) {
    if (baseline.length > 0) return baseline;
    const kept = new Map(states.flatMap((state) => [...state.selected]));
    const promising = states.flatMap((state) => state.finalists()).filter((one) => kept.has(one));
    return promising.sort((a, b) => kept.get(b)!.kept.mean - kept.get(a)!.kept.mean).slice(0, 1);
  }
  const ownFront = states.find((state) => state.byCost.includes(first))!.front();
  const dearer = [...cleared.slice(1), ...ownFront]
    .filter((one) => cost(one) > cost(first) && !one.isBaseline)
    .sort((a, b) => cost(a) - cost(b));
  return [first, ...new Set(dearer)].slice(0, plan.confirmations).concat(baseline);
}
