// From numbers per token to what is reported: perplexity, KL divergence, agreement. Tokens of a window depend on each other,
// so every standard error is taken between windows; with a single window the tokens count as independent instead.
import { type Interval, meanEstimate, quantileEstimate, quantileOfSorted, ratioOfPerplexities } from "./statistics.js";
import type { TokenMeasurements } from "./window-scorers.js";

export interface MeanWithError {
  mean: number;
  standardError: number;
}

export interface PerplexityEstimate extends MeanWithError {
  /** As llama-perplexity prints it: tokens taken as independent. */
  standardErrorIfIndependent: number;
}

export interface DivergenceEstimate extends MeanWithError {
  /** As llama-perplexity prints it: tokens taken as independent. */
  standardErrorIfIndependent: number;
  median: number;
  medianStandardError: number;
  p99: number;
  p99StandardError: number;
  minimum: number;
  p5: number;
  p90: number;
  p95: number;
  maximum: number;
}

/** Candidate's minus baseline's probability of the text's next token. */
export interface ProbabilityChange extends MeanWithError {
  rootMeanSquare: number;
  rootMeanSquareStandardError: number;
  minimum: number;
  p1: number;
  p5: number;
  p25: number;
  median: number;
  p75: number;
  p95: number;
  p99: number;
  maximum: number;
}

/** One window's sums over its scored tokens, in nats: what a paired test between models needs. */
export interface WindowSums {
  /** Its number in the text. */
  window: number;
  tokens: number;
  negativeLogLikelihood: number;
  baselineNegativeLogLikelihood?: number;
  klDivergence?: number;
}

export interface TextSummary {
  /** Scored tokens. */
  tokens: number;
  /** exp of the mean of -ln p(token). */
  perplexity: PerplexityEstimate;
  baselinePerplexity?: PerplexityEstimate;
  /** Baseline perplexity ÷ candidate perplexity, paired by window, with its 95 % interval; absent with one window. */
  perplexityRatio?: Interval;
  /** ln(candidate perplexity ÷ baseline perplexity). */
  logPerplexityRatio?: MeanWithError;
  /** KL(baseline ‖ candidate) per token, in nats. */
  klDivergence?: DivergenceEstimate;
  /** Share of tokens after which both models' most likely token is the same. */
  sameTopRate?: number;
  sameTopRateStandardError?: number;
  probabilityChange?: ProbabilityChange;
  windows: WindowSums[];
}

/**
 * Reduces the measurements.
 *
 * @param windows their numbers in the text, in the order measured
 * @param scoredPerWindow tokens per window
 */
export function summarizeText(
  measured: TokenMeasurements,
  windows: readonly number[],
  scoredPerWindow: number,
): TextSummary {
  const { negativeLogLikelihoods: candidate, against } = measured;
  const summary: TextSummary = {
    tokens: candidate.length,
    perplexity: perplexityOf(candidate, scoredPerWindow),
    windows: windows.map((window, i) => sumsOf(measured, window, i * scoredPerWindow, scoredPerWindow)),
  };
  if (!against) return summary;
  const { negativeLogLikelihoods: baseline, klDivergences, isSameTop } = against;
  const sameTop = meanEstimate(isSameTop, scoredPerWindow);
  const logRatio = meanEstimate(
    candidate.map((value, i) => value - baseline[i]!),
    scoredPerWindow,
  );
  return {
    ...summary,
    baselinePerplexity: perplexityOf(baseline, scoredPerWindow),
    ...(windows.length > 1 ? { perplexityRatio: pairedRatio(summary.windows) } : {}),
    logPerplexityRatio: { mean: logRatio.value, standardError: logRatio.standardError },
    klDivergence: divergenceOf(klDivergences, scoredPerWindow),
    sameTopRate: sameTop.value,
    sameTopRateStandardError: sameTop.standardError,
    probabilityChange: probabilityChangeOf(candidate, baseline, scoredPerWindow),
  };
}

/** exp is carried through by its derivative: the standard error of exp(m) is exp(m) times that of m. */
function perplexityOf(negativeLogLikelihoods: Float64Array, scoredPerWindow: number): PerplexityEstimate {
  const { value, standardError } = meanEstimate(negativeLogLikelihoods, scoredPerWindow);
  const mean = Math.exp(value);
  const independent = meanEstimate(negativeLogLikelihoods).standardError;
  return { mean, standardError: mean * standardError, standardErrorIfIndependent: mean * independent };
}

function divergenceOf(values: Float64Array, scoredPerWindow: number): DivergenceEstimate {
  const sorted = values.slice().sort();
  const { value, standardError } = meanEstimate(values, scoredPerWindow);
  const median = quantileEstimate(values, 0.5, scoredPerWindow);
  const p99 = quantileEstimate(values, 0.99, scoredPerWindow);
  return {
    mean: value,
    standardError,
    standardErrorIfIndependent: meanEstimate(values).standardError,
    median: median.value,
    medianStandardError: median.standardError,
    p99: p99.value,
    p99StandardError: p99.standardError,
    minimum: sorted[0]!,
    p5: quantileOfSorted(sorted, 0.05),
    p90: quantileOfSorted(sorted, 0.9),
    p95: quantileOfSorted(sorted, 0.95),
    maximum: sorted.at(-1)!,
  };
}

function probabilityChangeOf(
  candidate: Float64Array,
  baseline: Float64Array,
  scoredPerWindow: number,
): ProbabilityChange {
  const changes = candidate.map((value, i) => Math.exp(-value) - Math.exp(-baseline[i]!));
  const { value, standardError } = meanEstimate(changes, scoredPerWindow);
  const squares = meanEstimate(
    changes.map((change) => change ** 2),
    scoredPerWindow,
  );
  const rootMeanSquare = Math.sqrt(squares.value);
  const sorted = changes.slice().sort();
  return {
    mean: value,
    standardError,
    rootMeanSquare,
    rootMeanSquareStandardError: rootMeanSquare > 0 ? squares.standardError / (2 * rootMeanSquare) : 0,
    minimum: sorted[0]!,
    p1: quantileOfSorted(sorted, 0.01),
    p5: quantileOfSorted(sorted, 0.05),
    p25: quantileOfSorted(sorted, 0.25),
    median: quantileOfSorted(sorted, 0.5),
    p75: quantileOfSorted(sorted, 0.75),
    p95: quantileOfSorted(sorted, 0.95),
    p99: quantileOfSorted(sorted, 0.99),
    maximum: sorted.at(-1)!,
  };
}

function sumsOf(
  { negativeLogLikelihoods, against }: TokenMeasurements,
  window: number,
  offset: number,
  tokens: number,
): WindowSums {
  const sum = (values: Float64Array): number =>
    values.subarray(offset, offset + tokens).reduce((total, value) => total + value, 0);
  const sums: WindowSums = { window, tokens, negativeLogLikelihood: sum(negativeLogLikelihoods) };
  if (!against) return sums;
  return {
    ...sums,
    baselineNegativeLogLikelihood: sum(against.negativeLogLikelihoods),
    klDivergence: sum(against.klDivergences),
  };
}

function pairedRatio(windows: readonly WindowSums[]): Interval {
  const baseline = windows.map(({ tokens, baselineNegativeLogLikelihood }) => ({
    tokens,
    negativeLogLikelihood: baselineNegativeLogLikelihood!,
  }));
  return ratioOfPerplexities(baseline, windows);
}
