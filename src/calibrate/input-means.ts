// Means of second moments out of sums, ready for a rounding solver. Experts that few tokens reach have sums of low rank, by
// which a solver would believe most directions to be free; theirs are shrunk toward the mean over all experts of the layer:
//   mean_e = (H_e + k P) / (n_e + k)    P = Σ H_e / Σ n_e
// k, the tokens that P counts for, follows from the data. With columns scaled to unit mean square, n tokens of Gaussian input
// estimate second moments R with an expected squared error of s / n, s = (tr R)² + ‖R‖² (Ledoit and Wolf, 2004, "A
// well-conditioned estimator for large-dimensional covariance matrices"); the experts' true spread τ² is what their distances
// from P have beyond that, by the moments of one-way analysis of variance; and k = s / τ² minimises the expected error.
import type { InputStatistics } from "./paired-sums.js";

/** The sums that means are taken of, from a run or from a file. */
export type SumsOfSquares = Pick<InputStatistics, "columns" | "matrices" | "isRouted" | "hessian" | "cross" | "counts">;

export interface InputMeans {
  /** Tokens that the layer's mean counts for beside an expert's own; 0 where no router picks. */
  readonly priorTokens: number;
  /** Mean of x̂ x̂ᵀ of one matrix, [columns × columns], put into memory of its own or that is given. */
  hessian(matrix: number, into?: Float32Array): Float32Array;
  /** Mean of x x̂ᵀ, laid out as in `InputStatistics`; undefined without a candidate. Shrunk with the same k. */
  cross(matrix: number, into?: Float32Array): Float32Array | undefined;
}

/** Real inputs have heavier tails than Gaussian ones, so an estimate far below or above the columns is not believed. */
const PRIOR_PER_COLUMN = { min: 1 / 16, max: 16 };

/**
 * Means of an input's statistics, one matrix at a time; pooled among the experts of a routed layer.
 *
 * @example
 * const hessian = inputMeans(found.of("blk.0.ffn_up_exps.weight")!).hessian(expert);
 */
export function inputMeans(statistics: SumsOfSquares): InputMeans {
  const { columns, hessian, cross, isRouted } = statistics;
  const pool = isRouted ? pooledMean(statistics, hessian) : undefined;
  const crossPool = isRouted && cross ? pooledMean(statistics, cross) : undefined;
  const tokens = pool ? priorTokens(statistics, pool) : 0;
  const mean = (sums: Float32Array, prior: Float64Array | undefined, matrix: number, into?: Float32Array) => {
    const own = sums.subarray(matrix * columns ** 2, (matrix + 1) * columns ** 2);
    const total = statistics.counts[matrix]! + tokens;
    if (total === 0) throw new RangeError(`Cannot take the mean of no rows: nothing entered matrix ${matrix}`);
    const out = into ?? new Float32Array(own.length);
    if (prior) for (let i = 0; i < own.length; i++) out[i] = (own[i]! + tokens * prior[i]!) / total;
    else for (let i = 0; i < own.length; i++) out[i] = own[i]! / total;
    return out;
  };
  return {
    priorTokens: tokens,
    hessian: (matrix, into) => mean(hessian, pool, matrix, into),
    cross: (matrix, into) => cross && mean(cross, crossPool, matrix, into),
  };
}

/** Σ over matrices / Σ counts. */
function pooledMean({ columns, matrices, counts }: SumsOfSquares, sums: Float32Array): Float64Array {
  const size = columns ** 2;
  const mean = new Float64Array(size);
  for (let matrix = 0; matrix < matrices; matrix++) {
    for (let i = 0; i < size; i++) mean[i]! += sums[matrix * size + i]!;
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  for (let i = 0; i < size; i++) mean[i]! /= total;
  return mean;
}

/** k = s / τ². */
function priorTokens({ columns, counts, hessian }: SumsOfSquares, pool: Float64Array): number {
  const [least, most] = [columns * PRIOR_PER_COLUMN.min, columns * PRIOR_PER_COLUMN.max];
  const scales = Float64Array.from({ length: columns }, (_, j) => inverseRoot(pool[j * (columns + 1)]!));
  const used = scales.filter((scale) => scale > 0).length;
  const noise = used ** 2 + squaredNorm(scales, pool);
  let [spread, experts, total, squares] = [0, 0, 0, 0];
  counts.forEach((count, matrix) => {
    if (count === 0) return;
    spread += count * squaredNorm(scales, hessian, { start: matrix * columns ** 2, count, pool });
    experts++;
    total += count;
    squares += count ** 2;
  });
  const variance = (spread - (experts - 1) * noise) / (total - squares / total);
  return variance > 0 ? Math.min(most, Math.max(least, noise / variance)) : most;
}

/** ‖S (M / count − P) S‖² with S the diagonal matrix of `scales`. */
function squaredNorm(
  scales: Float64Array,
  matrix: ArrayLike<number>,
  { start, count, pool }: { start: number; count: number; pool: Float64Array | undefined } = WHOLE,
): number {
  const columns = scales.length;
  let total = 0;
  for (let i = 0; i < columns; i++) {
    let line = 0;
    for (let j = 0; j < columns; j++) {
      const at = i * columns + j;
      const value = (matrix[start + at]! / count - (pool ? pool[at]! : 0)) * scales[j]!;
      line += value * value;
    }
    total += line * scales[i]! ** 2;
  }
  return total;
}

const WHOLE = { start: 0, count: 1, pool: undefined };

function inverseRoot(value: number): number {
  return value > 0 ? 1 / Math.sqrt(value) : 0;
}
