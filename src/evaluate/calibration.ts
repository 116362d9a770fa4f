// Does a model know when it is wrong? Of choices there is a probability for each, so its confidence can be held against how often it is
// right, and one can see what it would score if it kept silent where it is unsure.
//
// Probabilities are the softmax of the likelihoods that the choice was made by: where these are per token or per byte, it
// is the confidence of that rule, not of the text.

/** A choice that was made, and how sure the model was. */
export interface JudgedChoice {
  /** Of all choices, summing to 1. */
  probabilities: readonly number[];
  /** Index of the right one. */
  expected: number;
}

export interface CalibrationBin {
  /** Confidence in (low, high]. */
  low: number;
  high: number;
  cases: number;
  /** Mean confidence and share of right choices. */
  confidence: number;
  score: number;
}

export interface AbstentionPoint {
  /** Share of the cases that are answered, the surest ones. */
  coverage: number;
  /** The least confidence among them. */
  confidence: number;
  /** Share of right choices among them. */
  score: number;
}

export interface CalibrationResult {
  cases: number;
  /** Σ |score - confidence| · cases ÷ all cases, over ten bins (Guo et al., 2017, arXiv:1706.04599, eq. 3). Few cases make it too large. */
  expectedCalibrationError: number;
  /** Mean of Σ (p - [it is the right one])² over all choices (Brier, 1950); 0 is perfect, 2 the worst. */
  brierScore: number;
  /** The bins that hold a case. */
  bins: CalibrationBin[];
  /** What is scored if only the surest are answered, from all to a tenth. */
  abstention: AbstentionPoint[];
}

const BINS = 10;
const COVERAGES = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1] as const;

/** Softmax of log likelihoods. */
export function probabilitiesOf(logLikelihoods: readonly number[]): number[] {
  const highest = Math.max(...logLikelihoods);
  const exponentials = logLikelihoods.map((value) => Math.exp(value - highest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

/** @throws {RangeError} when there is no choice */
export function calibrationOf(choices: readonly JudgedChoice[]): CalibrationResult {
  if (choices.length === 0) throw new RangeError("Cannot tell calibration from no choices");
  const judged = choices.map(({ probabilities, expected }) => {
    const confidence = Math.max(...probabilities);
    return { confidence, isRight: probabilities.indexOf(confidence) === expected };
  });
  const bins = binsOf(judged);
  const error = bins.reduce((sum, { cases, confidence, score }) => sum + cases * Math.abs(score - confidence), 0);
  return {
    cases: choices.length,
    expectedCalibrationError: error / choices.length,
    brierScore: mean(choices.map(brierOf)),
    bins,
    abstention: abstentionOf(judged),
  };
}

interface Judged {
  confidence: number;
  isRight: boolean;
}

function binsOf(judged: readonly Judged[]): CalibrationBin[] {
  return Array.from({ length: BINS }, (_, index) => {
    const inBin = judged.filter(
      ({ confidence }) => Math.min(BINS, Math.max(1, Math.ceil(confidence * BINS))) === index + 1,
    );
    return {
      low: index / BINS,
      high: (index + 1) / BINS,
      cases: inBin.length,
      confidence: mean(inBin.map(({ confidence }) => confidence)),
      score: mean(inBin.map(({ isRight }) => Number(isRight))),
    };
  }).filter(({ cases }) => cases > 0);
}

function brierOf({ probabilities, expected }: JudgedChoice): number {
  return probabilities.reduce((sum, p, index) => sum + (p - Number(index === expected)) ** 2, 0);
}

function abstentionOf(judged: readonly Judged[]): AbstentionPoint[] {
  const bySureness = [...judged].sort((a, b) => b.confidence - a.confidence);
  return COVERAGES.map((coverage) => {
    const answered = bySureness.slice(0, Math.max(1, Math.round(coverage * judged.length)));
    return {
      coverage,
      confidence: answered.at(-1)!.confidence,
      score: mean(answered.map(({ isRight }) => Number(isRight))),
    };
  });
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
}
