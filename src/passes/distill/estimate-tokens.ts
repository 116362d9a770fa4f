// How many tokens of training it takes to reach a loss, from the validations so far: loss(n) = floor + scale · n^−power, the
// form of the laws of scaling (Hoffmann et al., 2022, arXiv:2203.15556, equation 2). A schedule that ends lowers the loss
// once more than the law says, so what comes out is rather too many.

/** One validation. */
export interface LossPoint {
  /** Tokens learned until then. */
  tokens: number;
  loss: number;
}

export interface TokenEstimate {
  /** Tokens from the beginning until the bar; undefined when the curve levels off above it. */
  tokens: number | undefined;
  /** What the loss comes down to without end, in nats per token. */
  floor: number;
  power: number;
  /** Root of the mean square of what the curve misses, in nats. */
  error: number;
}

/** Three numbers are fitted: one more point than that. */
const POINTS_MIN = 4;
const POWERS = Array.from({ length: 100 }, (_, i) => 0.02 * (i + 1));

/**
 * Fits the curve to all validations after the first step.
 *
 * @returns undefined while there are too few of them, or the loss does not fall
 */
export function estimateTokens(points: readonly LossPoint[], bar: number): TokenEstimate | undefined {
  const known = points.filter(({ tokens }) => tokens > 0);
  if (known.length < POINTS_MIN) return undefined;
  const fits = POWERS.map((power) => fitLine(known, power)).filter(({ floor, scale }) => floor >= 0 && scale > 0);
  if (fits.length === 0) return undefined;
  const { floor, scale, power, error } = fits.reduce((a, b) => (b.error < a.error ? b : a));
  return { tokens: bar > floor ? (scale / (bar - floor)) ** (1 / power) : undefined, floor, power, error };
}

/** Least squares of loss on n^−power. */
function fitLine(points: readonly LossPoint[], power: number) {
  const xs = points.map(({ tokens }) => tokens ** -power);
  const meanX = mean(xs);
  const meanY = mean(points.map(({ loss }) => loss));
  const covariance = mean(points.map(({ loss }, i) => (xs[i]! - meanX) * (loss - meanY)));
  const scale = covariance / mean(xs.map((x) => (x - meanX) ** 2));
  const floor = meanY - scale * meanX;
  const error = Math.sqrt(mean(points.map(({ loss }, i) => (loss - floor - scale * xs[i]!) ** 2)));
  return { power, scale, floor, error };
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
