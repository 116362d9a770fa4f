// From which confidence on a small model's answer is taken. The threshold is chosen on some cases and judged on others: on the cases
// that it was chosen on, it would flatter itself. Cascades of this kind: Chen et al., 2023, "FrugalGPT", arXiv:2305.05176.
import { type PairedDraw, PairedSequence } from "../../evaluate/paired-sequence.js";
import type { Interval } from "../../evaluate/statistics.js";

/** What both models made of one case. */
export interface CascadeCase {
  id: string;
  /** Of the small model's answer. */
  confidence: number;
  /** Scores, 0…1. */
  small: number;
  large: number;
}

export interface Threshold {
  /** The small model's answer is taken if its confidence is this or more; above 1 none is. */
  threshold: number;
  /** Share of the cases that the small model answers. */
  smallShare: number;
}

/**
 * Standard errors by which the choice stays above the bar: the confirmation, on as many cases, wants some 2.5 of its own, and there is
 * chance in both. With less of a margin it would mostly end undecided.
 */
const MARGIN = 3;
const NEVER = 2; // a confidence that no answer has

/**
 * Chooses the threshold that lets the small model answer most, while what is kept of the large model's score stays above the bar by
 * 3 standard errors. In the order of falling confidence, each prefix of the cases is one threshold.
 *
 * @param keep share of the large model's score to keep
 */
export function chooseThreshold(cases: readonly CascadeCase[], keep: number): Threshold {
  const order = [...cases].sort((a, b) => b.confidence - a.confidence);
  const n = order.length;
  // Of d = cascade - keep · large: sums, first for none answered by the small model, then case by case.
  let sum = order.reduce((total, { large }) => total + (1 - keep) * large, 0);
  let squares = order.reduce((total, { large }) => total + ((1 - keep) * large) ** 2, 0);
  let best: Threshold = { threshold: NEVER, smallShare: 0 };
  for (const [i, { confidence, small, large }] of order.entries()) {
    sum += small - large;
    squares += (small - keep * large) ** 2 - ((1 - keep) * large) ** 2;
    if (order[i + 1]?.confidence === confidence) continue; // equals go together
    const mean = sum / n;
    const standardError = Math.sqrt(Math.max(0, squares / n - mean ** 2) / n);
    if (mean - MARGIN * standardError >= 0) best = { threshold: confidence, smallShare: (i + 1) / n };
  }
  return best;
}

export interface Confirmation {
  cases: number;
  /** Whether the bar is cleared, for all cases like these. */
  standing: "clears" | "fails" | "undecided";
  /** Share of the large model's score that the cascade keeps, with its interval. */
  kept: Interval;
  /** Share of the cases that the small model answers. */
  smallShare: number;
  /** Mean scores. */
  score: { small: number; large: number; cascade: number };
}

/**
 * Judges a threshold on cases that it was not chosen on, by a test that may be looked at at any time (paired-sequence.ts). The claim is
 * about all cases like these.
 *
 * @param alpha chance of a wrong claim, on each side
 */
export function confirmThreshold(
  cases: readonly CascadeCase[],
  threshold: number,
  { keep, alpha }: { keep: number; alpha: number },
): Confirmation {
  const sequence = new PairedSequence({ keep, size: Infinity, alpha });
  const takesSmall = ({ confidence }: CascadeCase): boolean => confidence >= threshold;
  const draws: PairedDraw[] = cases.map((one) => ({
    baseline: one.large,
    candidate: takesSmall(one) ? one.small : one.large,
    probability: 1,
    least: 1,
  }));
  for (const draw of draws) sequence.add(draw);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  return {
    cases: cases.length,
    standing: sequence.standing,
    kept: sequence.kept(),
    smallShare: cases.filter(takesSmall).length / cases.length,
    score: {
      small: mean(cases.map(({ small }) => small)),
      large: mean(cases.map(({ large }) => large)),
      cascade: mean(draws.map(({ candidate }) => candidate)),
    },
  };
}
