// How steady a judge is: each pair is shown in both orders, and a judge that looks at answers, not at places, says the same twice
// (L. Zheng et al., 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", arXiv:2306.05685, section 3.4).
import type { Preference } from "./judge-questions.js";

/** Of one pair, what was said with the candidate's answer first, and with it second. */
export type BothOrders = readonly [Preference, Preference];

export interface OrderAgreement {
  /** Pairs with a verdict in both orders. */
  pairs: number;
  /** Share of them on which both orders say the same of the candidate. */
  agreement: number;
  /** The same beyond chance: (p₀ − pₑ) ÷ (1 − pₑ); null where all verdicts are one (J. Cohen, 1960). */
  kappa: number | null;
  /** Share of preferred answers that stood first: 0.5 without bias; null where none was preferred. */
  firstShare: number | null;
}

type Outcome = 1 | 0.5 | 0;

/** What a preference means for the candidate. @param isFirst its answer stood first */
export function outcomeOf(preference: Preference, isFirst: boolean): Outcome {
  if (preference === "tie") return 0.5;
  return (preference === "first") === isFirst ? 1 : 0;
}

/** A win or a loss is one in both orders; orders that contradict each other are a tie, as in section 3.4 of the paper. */
export function pairScore([asFirst, asSecond]: BothOrders): { value: Outcome; agrees: boolean } {
  const [one, other] = [outcomeOf(asFirst, true), outcomeOf(asSecond, false)];
  return one === other ? { value: one, agrees: true } : { value: 0.5, agrees: false };
}

/** @returns undefined without pairs */
export function orderAgreement(pairs: readonly BothOrders[]): OrderAgreement | undefined {
  if (pairs.length === 0) return undefined;
  const agreement = pairs.filter((pair) => pairScore(pair).agrees).length / pairs.length;
  const shareOf = (place: 0 | 1, outcome: Outcome): number =>
    pairs.filter((pair) => outcomeOf(pair[place], place === 0) === outcome).length / pairs.length;
  const byChance = ([1, 0.5, 0] as const).reduce<number>((sum, one) => sum + shareOf(0, one) * shareOf(1, one), 0);
  const preferred = pairs.flat().filter((one) => one !== "tie");
  return {
    pairs: pairs.length,
    agreement,
    kappa: byChance === 1 ? null : (agreement - byChance) / (1 - byChance),
    firstShare: preferred.length === 0 ? null : preferred.filter((one) => one === "first").length / preferred.length,
  };
}
