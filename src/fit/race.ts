// Several base models, adapted or distilled ones among them, under one budget. Each is a family: its candidates are compared by their
// divergence from its own original, which needs one vocabulary, and judged by the task against the one baseline, which does not.
//
// 1. Of every family but the baseline's, the candidate that loses least is tried first. Where even that misses the bar, rounding it
//    further will not clear it, and the family is out for the price of one trial.
// 2. The families that are left are searched in the order of their cheapest candidate. Whatever costs as much as a candidate that
//    has cleared, or more, is dominated: it is never screened.
// 3. The cheapest of all that cleared is confirmed on fresh evidence; then the next dearer one gets the last try; then the baseline.
import type { PlannedCandidate } from "./candidates.js";
import type { EvidencePlan } from "./evidence-plan.js";
import {
  type Measurements,
  type SearchOutcome,
  type SearchQuestion,
  SearchState,
  confirm,
  outcomeOf,
  search,
} from "./search.js";

/** Fewer screenings would not find a family's front. */
const SCREENS_MIN = 4;

/** Searches all families; with one, that is `search()`. */
export async function race(question: SearchQuestion, measurements: Measurements): Promise<SearchOutcome> {
  const families = familiesOf(question.candidates);
  if (families.length === 1) return search(question, measurements);
  const plan = sharedPlan(question.plan, families.length);
  const states = families.map((candidates) => new SearchState({ ...question, candidates, plan }, measurements));
  const running = await qualify(states);
  await searchInTurn(running, question);
  const { winner, confirmed } = await confirm(finalistsOf(running, question), question.keep, measurements);
  return outcomeOf(states, winner, confirmed);
}

/** Candidates by the model that they are made of, in the order of the request. */
function familiesOf(candidates: readonly PlannedCandidate[]): PlannedCandidate[][] {
  const families = new Map<string, PlannedCandidate[]>();
  for (const candidate of candidates) {
    const key = candidate.base?.sha256 ?? "";
    families.set(key, [...(families.get(key) ?? []), candidate]);
  }
  return [...families.values()];
}

function sharedPlan(plan: EvidencePlan, families: number): EvidencePlan {
  return { ...plan, screens: Math.max(SCREENS_MIN, Math.floor(plan.screens / families)) };
}

/** @returns the families whose best candidate may clear the bar; that of the baseline always does */
async function qualify(states: readonly SearchState[]): Promise<SearchState[]> {
  const running: SearchState[] = [];
  for (const state of states) {
    const hasBaseline = state.byCost.some(({ isBaseline }) => isBaseline);
    const judgement = hasBaseline ? "clears" : await state.select(state.head);
    if (judgement !== "fails") running.push(state);
    else {
      state.drop(
        (candidate) => candidate !== state.head,
        `${state.head.name}, the best of this model, misses the bar already`,
      );
    }
  }
  return running;
}

async function searchInTurn(states: readonly SearchState[], { cost }: SearchQuestion): Promise<void> {
  const cheapest = (state: SearchState): number => cost(state.byCost[0]!);
  let bound: PlannedCandidate | undefined;
  for (const state of [...states].sort((a, b) => cheapest(a) - cheapest(b))) {
    const dearest = bound;
    if (dearest) {
      const reason = `${dearest.base.name}: ${dearest.name} costs no more and has cleared the bar`;
      state.drop((candidate) => cost(candidate) >= cost(dearest) && !candidate.isBaseline, reason);
    }
    if (state.byCost.every((candidate) => state.dropped.has(candidate))) continue;
    await state.screenBroadly();
    await state.selectAlongFront();
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
    return states.flatMap((state) => state.finalists()).slice(0, 1);
  }
  const ownFront = states.find((state) => state.byCost.includes(first))!.front();
  const dearer = [...cleared.slice(1), ...ownFront]
    .filter((one) => cost(one) > cost(first) && !one.isBaseline)
    .sort((a, b) => cost(a) - cost(b));
  return [first, ...new Set(dearer)].slice(0, plan.confirmations).concat(baseline);
}
