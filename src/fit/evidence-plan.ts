// How much evidence to buy, decided before anything is measured, from the budget and the size of the model alone. Nothing
// here looks at a clock: two runs of the same request plan the same measurements, so they reach the same verdict, whether
// or not one of them was interrupted. The budget's time still ends a run that turns out slower than planned.

/** Products per second and core that evaluation is sure to reach, in multiply-adds counted as two. Half of what a laptop does. */
const FLOPS_PER_CORE = 30e9;
/** Shares of the budget; what is left covers quantizing, loading and the speed tests. */
const SHARES = { screening: 0.3, selection: 0.25, confirmation: 0.25 };

/** Measurements by kind. A baseline costs one measurement of its part. */
export interface EvidencePlan {
  /** Candidates to screen with little text. */
  screens: number;
  /** Candidates to measure on the selection part, at most. */
  selections: number;
  /** Mixes of one model to make, screen and measure on the selection part, at most; 0 where there are none. */
  mixTries: number;
  /** Candidates to measure on the confirmation part, at most: two, so that 2 × 2.5 % bounds the chance of a wrong ACCEPT. */
  confirmations: 2;
  /** Windows or cases of one screening, one selection, one confirmation. */
  screenSize: number;
  selectionSize: number;
  confirmationSize: number;
}

export interface EvidenceQuestion {
  budgetSeconds: number;
  evaluations: number;
  cores: number;
  /** Weights that one token goes through. */
  parametersActive: number;
  /** Tokens that one window or case costs; a decoded token counts as several prefilled ones. */
  tokensEach: number;
  /** Windows or cases that there are. */
  selectionAvailable: number;
  confirmationAvailable: number;
  /** Candidates that fit the device. */
  candidates: number;
  /** Models that these are made of; 1 by default. */
  families?: number;
  /** Mixes of one model that fit, at most: halving finds one among them. */
  mixes?: number;
}

const SCREENS_MAX = 24;
const SELECTIONS_MAX = 8;
/** A further model's best is tried, and its front walked. */
const SELECTIONS_PER_FAMILY = 3;
const SCREEN_SIZE = { least: 2, most: 16 };
const PART_SIZE = { least: 4, most: 4000 };

/** Divides a budget over screening, selection and confirmation. */
export function planEvidence(question: EvidenceQuestion): EvidencePlan {
  const tokensPerSecond = (FLOPS_PER_CORE * question.cores) / (2 * Math.max(1, question.parametersActive));
  const sizeFor = (share: number, times: number): number =>
    Math.floor((question.budgetSeconds * share * tokensPerSecond) / (question.tokensEach * times));
  const confirmations = 2;
  const baselines = 3; // one for each kind of measurement
  const left = question.evaluations - confirmations - baselines;
  const families = question.families ?? 1;
  const mixTries = Math.min(Math.ceil(Math.log2((question.mixes ?? 0) + 1)), Math.floor(left / 4 / families));
  const spare = Math.max(2, left - 2 * families * mixTries);
  const forSelections = Math.max(1, Math.floor(spare * 0.3));
  const screens = Math.min(SCREENS_MAX, question.candidates, spare - forSelections);
  const selectionsMax = SELECTIONS_MAX + SELECTIONS_PER_FAMILY * (families - 1);
  const selections = Math.min(selectionsMax, question.candidates, forSelections);
  return {
    screens,
    selections,
    mixTries,
    confirmations,
    screenSize: Math.min(question.selectionAvailable, clamp(sizeFor(SHARES.screening, screens + 1), SCREEN_SIZE)),
    selectionSize: Math.min(
      question.selectionAvailable,
      clamp(sizeFor(SHARES.selection, selections + families * mixTries + 1), PART_SIZE),
    ),
    confirmationSize: Math.min(
      question.confirmationAvailable,
      clamp(sizeFor(SHARES.confirmation, confirmations + 1), PART_SIZE),
    ),
  };
}

function clamp(value: number, { least, most }: { least: number; most: number }): number {
  return Math.min(most, Math.max(least, value));
}
