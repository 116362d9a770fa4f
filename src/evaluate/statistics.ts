// What a sample says about the whole: means, shares, quantiles and ratios of perplexities, each with a standard error or a
// confidence interval. Plain functions over numbers. Tokens of one window depend on each other, so anything that is
// averaged over tokens can be given its clusters (windows); clusters count as independent of each other.
import { Random } from "../support/random.js";
import { studentQuantile, twoSidedNormal } from "./distributions.js";

/** An estimate and its confidence interval. */
export interface Interval {
  mean: number;
  low: number;
  high: number;
}

/** An estimate and its standard error. */
export interface Estimated {
  value: number;
  standardError: number;
}

/** One window of scored text. */
export interface WindowLikelihood {
  /** Sum over the window's scored tokens of -ln p(token), in nats. */
  negativeLogLikelihood: number;
  /** Scored tokens. */
  tokens: number;
}

/**
 * The score interval of a share: the values that a test at this confidence would not reject (Wilson, 1927, "Probable
 * inference, the law of succession, and statistical inference", JASA 22). It stays within 0…1 and holds for few cases.
 *
 * @param successes how many of `n` succeeded; partial scores may be summed, then the interval is on the wide side
 * @returns `mean` is successes / n
 * @throws {RangeError} when there are no cases, or more successes than cases
 */
export function wilsonInterval(successes: number, n: number, confidence = 0.95): Interval {
  if (!(n > 0) || !(successes >= 0 && successes <= n)) {
    throw new RangeError(`Cannot estimate a share from ${successes} successes in ${n} cases`);
  }
  const z = twoSidedNormal(confidence);
  const share = successes / n;
  const scale = 1 + z ** 2 / n;
  const centre = (share + z ** 2 / (2 * n)) / scale;
  const half = (z * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2))) / scale;
  return {
    mean: share,
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === n ? 1 : Math.min(1, centre + half),
  };
}

/**
 * The mean of independent values and its Student interval, mean ± t(n - 1) · s / √n (Student, 1908, "The probable error of
 * a mean"). Exact for normal values; for skewed ones it is good from some 30 values on.
 *
 * @returns with one value, an interval from -∞ to ∞: one value says nothing about the spread
 * @throws {RangeError} when there is no value
 */
export function meanInterval(values: ArrayLike<number>, confidence = 0.95): Interval {
  const { value, standardError } = meanEstimate(values);
  if (values.length === 1) return { mean: value, low: -Infinity, high: Infinity };
  const half = standardError === 0 ? 0 : studentQuantile((1 + confidence) / 2, values.length - 1) * standardError;
  return { mean: value, low: value - half, high: value + half };
}

/**
 * The mean of independent values that lie within bounds, and an interval that also holds for few values and for values that are
 * all alike: Student's interval as if two further values had been seen at each bound. For shares that is what Wilson's interval
 * amounts to (Agresti and Coull, 1998, "Approximate is better than 'exact' for interval estimation of binomial proportions",
 * The American Statistician 52); of other values the same is held to by simulation in this function's tests. Of n equal values it
 * is about as wide as what one that was not seen could change: a share of up to 1 - 0.025^(1/n) may be elsewhere.
 *
 * @returns within the bounds; `mean` is that of the values alone
 * @throws {RangeError} when there is no value
 */
export function boundedMeanInterval(
  values: readonly number[],
  { low: lowest, high: highest }: { low: number; high: number } = { low: 0, high: 1 },
  confidence = 0.95,
): Interval {
  requireValues(values);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const { low, high } = meanInterval([...values, lowest, lowest, highest, highest], confidence);
  return { mean, low: Math.max(lowest, Math.min(low, mean)), high: Math.min(highest, Math.max(high, mean)) };
}

/**
 * Percentile bootstrap of any statistic (Efron, 1979, "Bootstrap methods: another look at the jackknife"). Resamples with a
 * seed, so that the same values give the same interval. With fewer than some 20 values the interval is too narrow.
 *
 * @param statistic computed of the values and of each resample; must not keep or change its argument
 * @returns `mean` is the statistic of the values themselves, `standardError` the standard deviation over resamples
 * @throws {RangeError} when there is no value
 */
export function bootstrapInterval(
  values: ArrayLike<number>,
  statistic: (sample: Float64Array) => number,
  { seed = 0, resamples = 1000, confidence = 0.95 }: { seed?: number; resamples?: number; confidence?: number } = {},
): Interval & { standardError: number } {
  requireValues(values);
  const random = new Random(seed);
  const sample = Float64Array.from(values);
  const mean = statistic(sample.slice());
  const statistics = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    for (let i = 0; i < sample.length; i++) sample[i] = values[random.integer(values.length)]!;
    statistics[r] = statistic(sample);
  }
  return {
    mean,
    low: quantile(statistics, (1 - confidence) / 2),
    high: quantile(statistics, (1 + confidence) / 2),
    standardError: Math.sqrt(variance(statistics)),
  };
}

/**
 * Baseline perplexity ÷ candidate perplexity over the same windows, with its confidence interval:
 * exp(Σ (nll_baseline - nll_candidate) / Σ tokens). The exponent is a ratio estimator whose clusters are windows (Cochran,
 * 1977, Sampling Techniques, eq. 6.13), the interval Student's with windows - 1 degrees of freedom. Pairing cancels what is hard for both.
 *
 * @param baseline per window, in the same order as `candidate`
 * @returns 1 means no loss, less means that the candidate is worse; with one window the interval is 0…∞
 * @throws {RangeError} when the windows don't pair up
 */
export function ratioOfPerplexities(
  baseline: readonly WindowLikelihood[],
  candidate: readonly WindowLikelihood[],
  confidence = 0.95,
): Interval {
  if (baseline.length === 0 || baseline.length !== candidate.length) {
    throw new RangeError(
      `Cannot pair ${baseline.length} windows of the baseline with ${candidate.length} of the candidate`,
    );
  }
  const gains = baseline.map((window, index) => {
    const other = candidate[index]!;
    if (window.tokens !== other.tokens) {
      throw new RangeError(
        `Cannot pair windows ${index}: ${window.tokens} tokens in the baseline, ${other.tokens} in the candidate`,
      );
    }
    return window.negativeLogLikelihood - other.negativeLogLikelihood;
  });
  const tokens = baseline.map((window) => window.tokens);
  const { value, standardError } = ratioEstimate(gains, tokens);
  if (gains.length === 1) return { mean: Math.exp(value), low: 0, high: Infinity };
  const half = standardError === 0 ? 0 : studentQuantile((1 + confidence) / 2, gains.length - 1) * standardError;
  return { mean: Math.exp(value), low: Math.exp(value - half), high: Math.exp(value + half) };
}

/**
 * The mean of values and its standard error.
 *
 * @param clusterSize consecutive values that depend on each other; 1 takes all as independent. When all values are one
 *   cluster nothing can be said between clusters, and they are taken as independent
 * @throws {RangeError} when there is no value
 */
export function meanEstimate(values: ArrayLike<number>, clusterSize = 1): Estimated {
  requireValues(values);
  const { sums, sizes } = clusterSums(values, values.length > clusterSize ? clusterSize : 1);
  return ratioEstimate(sums, sizes);
}

/**
 * Σ numerators ÷ Σ denominators over independent clusters; the standard error by linearization (Cochran, 1977, eq. 6.13).
 *
 * @returns with one cluster the standard error is NaN
 */
export function ratioEstimate(numerators: ArrayLike<number>, denominators: ArrayLike<number>): Estimated {
  requireValues(numerators);
  const clusters = numerators.length;
  let total = 0;
  let weight = 0;
  for (let i = 0; i < clusters; i++) {
    total += numerators[i]!;
    weight += denominators[i]!;
  }
  const value = total / weight;
  let squares = 0;
  for (let i = 0; i < clusters; i++) squares += (numerators[i]! - value * denominators[i]!) ** 2;
  const standardError = clusters > 1 ? Math.sqrt((clusters / (clusters - 1)) * squares) / weight : Number.NaN;
  return { value, standardError };
}

/**
 * The q-quantile, interpolated between order statistics (type 7 of Hyndman and Fan, 1996, as llama-perplexity and NumPy).
 *
 * @throws {RangeError} when there is no value or q is outside 0…1
 */
export function quantile(values: ArrayLike<number>, q: number): number {
  return quantileOfSorted(Float64Array.from(values).sort(), q);
}

/** {@link quantile} of values that are in ascending order already. */
export function quantileOfSorted(sorted: ArrayLike<number>, q: number): number {
  requireValues(sorted);
  if (!(q >= 0 && q <= 1)) throw new RangeError(`Cannot take the ${q}-quantile: it must be within 0 and 1`);
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (position - below) * (sorted[above]! - sorted[below]!);
}

/**
 * The q-quantile and its standard error from order statistics: the share of values below the quantile has a standard error,
 * which is carried over by reading the quantiles one such error to either side (Woodruff, 1952, "Confidence intervals
 * for medians and other position measures", JASA 47, which also covers clusters).
 *
 * @param clusterSize consecutive values that depend on each other, see {@link meanEstimate}
 * @throws {RangeError} when there is no value
 */
export function quantileEstimate(values: ArrayLike<number>, q: number, clusterSize = 1): Estimated {
  const sorted = Float64Array.from(values).sort();
  const value = quantileOfSorted(sorted, q);
  const below = Uint8Array.from(values, (v) => (v <= value ? 1 : 0));
  const clustered = meanEstimate(below, clusterSize).standardError;
  // Few clusters can agree on the share by chance; the value below is what independent values would give at the least.
  const shareError = Math.max(clustered || 0, Math.sqrt((q * (1 - q)) / values.length));
  const low = quantileOfSorted(sorted, Math.max(0, q - shareError));
  const high = quantileOfSorted(sorted, Math.min(1, q + shareError));
  return { value, standardError: (high - low) / 2 };
}

function clusterSums(values: ArrayLike<number>, clusterSize: number): { sums: Float64Array; sizes: Float64Array } {
  const clusters = Math.ceil(values.length / clusterSize);
  const sums = new Float64Array(clusters);
  const sizes = new Float64Array(clusters);
  for (let i = 0; i < values.length; i++) {
    const cluster = Math.floor(i / clusterSize);
    sums[cluster]! += values[i]!;
    sizes[cluster]! += 1;
  }
  return { sums, sizes };
}

function variance(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  const mean = sum / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - mean) ** 2;
  return values.length > 1 ? squares / (values.length - 1) : 0;
}

function requireValues(values: ArrayLike<number>): void {
  if (values.length === 0) throw new RangeError("Cannot estimate anything from no values");
}
