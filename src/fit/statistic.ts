// What a verdict rests on, in words and numbers: how sure it is, of what, and how that was worked out. It stands in the certificate,
// so that anyone can work it out again from the draws beside it.
import { STAKES } from "../evaluate/betting.js";
import {
  type PairedDraw,
  PairedSequence,
  keptSequence,
  scoreSequence,
  weightedMean,
} from "../evaluate/paired-sequence.js";
import type { CaseDraw } from "../evaluate/paired-trial.js";
import type { OrderedCase } from "../evaluate/contention.js";
import { slicesOf } from "../evaluate/slices.js";
import type { Certificate, Quality } from "./certificate.js";
import type { EvidencePlan } from "./evidence-plan.js";
import type { FitRequest } from "./request.js";
import type { Part, Yardstick } from "./yardstick.js";

/** Chance of a wrong claim of one trial, on each side. */
export const ALPHA = 0.025;

/** What a trial by cases says of the candidate and of the baseline. */
export function qualitiesOf(
  sequence: PairedSequence,
  part: Part,
  cases: readonly OrderedCase[],
  drawn: readonly CaseDraw[],
): { quality: Quality; baseline: Quality } {
  const { draws, size } = sequence;
  const tags = new Map(cases.map((one) => [one.id, one.tags]));
  const slices = slicesOf(drawn, ({ id }) => tags.get(id)!, size, ALPHA);
  const mean = (value: (draw: PairedDraw) => number): number => weightedMean(draws, value, size);
  const counts = { cases: draws.length, casesInPart: cases.length };
  const common = { metric: "score", part } as const;
  return {
    quality: {
      ...common,
      kept: sequence.kept(),
      ...(size !== Infinity && isEven(draws) ? { keptBeyond: keptSequence(draws, Infinity, ALPHA) } : {}),
      won: mean(({ baseline, candidate }) => Math.max(0, candidate - baseline)),
      lost: mean(({ baseline, candidate }) => Math.max(0, baseline - candidate)),
      score: scoreSequence(draws, "candidate", size, ALPHA),
      ...(slices.length > 1 ? { slices } : {}),
      ...counts,
      casesToSettle: sequence.drawsToSettle,
    },
    baseline: {
      ...common,
      kept: { mean: 1, low: 1, high: 1 },
      score: scoreSequence(draws, "baseline", size, ALPHA),
      ...counts,
    },
  };
}

/** Replays the draws of a trial. */
export function replay(draws: readonly PairedDraw[], keep: number, size: number): PairedSequence {
  const sequence = new PairedSequence({ keep, size, alpha: ALPHA });
  for (const draw of draws) sequence.add(draw);
  return sequence;
}

/** True when all cases that were left were equally likely at each draw: only then do the draws speak of cases beyond the file. */
function isEven(draws: readonly PairedDraw[]): boolean {
  return draws.every(({ probability, least }) => probability <= least * (1 + 1e-9));
}

/** The statistic of a fit, as its certificate states it. */
export function statisticOf(
  request: FitRequest,
  yardstick: Yardstick,
  plan: EvidencePlan,
): NonNullable<Certificate["statistic"]> {
  const tries = plan.confirmations;
  const common = {
    alphaPerTry: ALPHA,
    tries,
    errorRate: ALPHA * tries,
    control:
      "Bonferroni over the confirmation tries, whose cases no choice has seen, however many candidates were tried before",
  };
  if (yardstick.kind === "text") {
    return {
      ...common,
      method: "Student's interval of the paired log-likelihoods between windows, number of windows fixed beforehand",
      target: "population",
      sources: ["Cochran, 1977, Sampling Techniques, eq. 6.13"],
    };
  }
  const isTask = request.claim === "task";
  return {
    ...common,
    method:
      "betting confidence sequence for the mean of candidate - keep x baseline on the same cases, valid whenever it is stopped",
    target: request.claim,
    ...(isTask ? { casesInTarget: yardstick.sizes.confirmation } : {}),
    order: isTask ? "adaptive" : "uniform",
    sampling: isTask
      ? "without replacement from the confirmation part, with probabilities fixed before each draw and recorded, importance-weighted"
      : "cases in random order, each as likely as any other",
    stakes: STAKES.map(({ share, weight }) => ({ share, weight })),
    sources: ["arXiv:2010.09686", ...(isTask ? ["arXiv:2006.04347", "arXiv:2305.06884"] : [])],
  };
}
