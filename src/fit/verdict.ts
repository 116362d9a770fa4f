// The verdict: what the findings come down to, in one word and one sentence.
import { PareError } from "../errors.js";
import { optional } from "../support/optional.js";
import { judge, tokensToSettle } from "./bar.js";
import { type PlannedCandidate, nearestFeasible } from "./candidates.js";
import type { Certificate, Quality } from "./certificate.js";
import type { Findings } from "./outcome.js";
import type { FitRequest } from "./request.js";
import type { SearchOutcome } from "./search.js";
import { keptText, percent } from "./wording.js";
import { CERTAIN_ZERO_CASES, type Part, type Yardstick } from "./yardstick.js";

/** The verdict, its reason, and what would change it. */
export function verdictOf(
  findings: Findings,
): Pick<Certificate, "verdict" | "reason" | "casesNeeded" | "nearestFeasibleBytes"> {
  const { candidates, device, outcome, request, laboratory, yardstick } = findings;
  const bar = `${percent(request.keep)} of the baseline's quality`;
  if (!candidates.some(({ misfit }) => misfit === undefined)) {
    const nearest = nearestFeasible(candidates);
    const needed = nearest?.memoryBytes;
    return {
      verdict: "INFEASIBLE",
      reason: nearest
        ? `Nothing fits ${device.name}: the smallest, ${nearest.name}, ${nearest.misfit}`
        : `Nothing can be made of this model for ${device.name}`,
      ...optional("nearestFeasibleBytes", needed),
    };
  }
  const { winner } = outcome;
  const measured = [...outcome.screened.keys()].filter(({ isBaseline }) => !isBaseline);
  if (laboratory.errors.size > 0 && measured.length === 0) {
    throw new PareError(`No candidate could be measured: ${[...laboratory.errors.values()][0]}`, {
      hint: "Run: pare doctor; then pare eval on the model itself",
    });
  }
  if (laboratory.nothingToKeep) {
    const { part, message } = laboratory.nothingToKeep;
    const needed = Math.ceil(CERTAIN_ZERO_CASES / shareOf(part, yardstick));
    return {
      verdict: "NEED_MORE",
      reason: `${message}${remedyFor(needed, yardstick)}`,
      casesNeeded: { count: needed, unit: yardstick.unit },
    };
  }
  if (winner?.isBaseline)
    return { verdict: "ACCEPT", reason: `The original fits, and nothing leaner keeps ${bar} with certainty` };
  if (winner) {
    const { kept } = outcome.confirmed.get(winner)!;
    return {
      verdict: "ACCEPT",
      reason: `${winner.name} keeps ${keptText(kept)} of the baseline's quality on fresh evidence; the bar is ${percent(request.keep)}${reachOf(request.claim, outcome.confirmed.get(winner)!)}`,
    };
  }
  const closest = outcome.closest && qualityOf(outcome, outcome.closest);
  if (!outcome.closest || !closest) {
    const why =
      laboratory.errors.size > 0
        ? `the engine could not run what fits: ${[...laboratory.errors.values()][0]}`
        : "the budget was spent before anything was measured";
    return { verdict: "NEED_MORE", reason: `No candidate was measured: ${why}` };
  }
  const measuredFully = new Set([...outcome.selected.keys(), ...outcome.confirmed.keys()]);
  const judged = [...measuredFully].map((candidate) => judge(qualityOf(outcome, candidate)!.kept, request.keep));
  const isSettled = judged.every((judgement) => judgement === "fails") && !laboratory.isBudgetSpent;
  if (isSettled)
    return {
      verdict: "REJECT",
      reason: `Nothing that fits keeps ${bar}; the closest, ${outcome.closest.name}, keeps ${keptText(closest.kept)}`,
    };
  const isEvidenceShort = judge(closest.kept, request.keep) === "undecided";
  const needed = evidenceNeeded(findings, closest);
  const remedy = remedyFor(needed.count, yardstick);
  return {
    verdict: "NEED_MORE",
    reason: isEvidenceShort
      ? `The evidence does not settle whether ${outcome.closest.name} keeps ${bar}: it keeps ${keptText(closest.kept)}; some ${needed.more} more ${yardstick.unit} would${remedy}`
      : `The budget was spent before the question was settled; the closest, ${outcome.closest.name}, keeps ${keptText(closest.kept)} and the bar is ${percent(request.keep)}`,
    ...(isEvidenceShort ? { casesNeeded: { ...needed, unit: yardstick.unit } } : {}),
  };
}

/** How far an accepted quality reaches: a claim about few cases should not be mistaken for one about all that are like them. */
function reachOf(claim: FitRequest["claim"], { casesInPart, keptBeyond }: Quality): string {
  if (casesInPart === undefined || claim === "population") return "";
  const beyond = keptBeyond ? `; of cases like them it keeps at least ${percent(keptBeyond.low)} for certain` : "";
  return `. That is about the ${casesInPart} cases of the confirmation part${beyond}`;
}

/** What would settle it: so many more of the part that decides, and the size of a whole task that has as many. */
function evidenceNeeded({ request, yardstick }: Findings, closest: Quality): { count: number; more: number } {
  const share = shareOf(closest.part, yardstick);
  if (closest.cases === undefined) {
    const measured = closest.tokens ?? yardstick.inUnits(1);
    const scored = tokensToSettle(closest.kept, request.keep, measured);
    return { count: Math.ceil((2 * scored) / share), more: scored - measured }; // the first half of each window is context
  }
  const more = closest.casesToSettle ?? 0;
  return { count: Math.ceil((closest.cases + more) / share), more };
}

function shareOf(part: Part, { sizes }: Yardstick): number {
  return sizes[part] / wholeOf(sizes);
}

function wholeOf({ calibration, selection, confirmation }: Yardstick["sizes"]): number {
  return calibration + selection + confirmation;
}

/** What to do where the evidence is there and was not used. */
function remedyFor(needed: number, { sizes }: Yardstick): string {
  return needed <= wholeOf(sizes) ? "; the task holds enough, a larger --budget would use it" : "";
}

/** The best evidence that there is on a candidate. */
export function qualityOf(outcome: SearchOutcome, candidate: PlannedCandidate): Quality | undefined {
  return outcome.confirmed.get(candidate) ?? outcome.selected.get(candidate);
}
