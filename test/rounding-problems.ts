// Problems for rounding solvers, and their losses straight from the definition.
import type { Random } from "../src/support/random.js";

export interface HessianOptions {
  /** How many times larger the inputs of one column are than those of the others. */
  outlier?: number;
  /** Inputs it is made of; with fewer than columns it has their rank before it is damped. */
  samples?: number;
  /** Added to the diagonal, as a share of its mean. */
  damping?: number;
  /** What all of it is multiplied by. */
  scale?: number;
}

/** Mean x xᵀ, damped, of inputs that follow a few common directions, as a layer's do: [columns × columns]. */
export function correlatedHessian(random: Random, columns: number, options: HessianOptions = {}): Float32Array {
  const { outlier = 1, samples = 96, damping = 0.01, scale = 1 } = options;
  const large = random.integer(columns);
  const inputs = Array.from({ length: samples }, () => {
    const wave = random.next();
    return Float64Array.from({ length: columns }, (_, j) => {
      const value = Math.sin(wave * j) + 0.7 * random.normal();
      return j === large ? outlier * value : value;
    });
  });
  const hessian = new Float32Array(columns * columns);
  let trace = 0;
  for (let i = 0; i < columns; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (const x of inputs) sum += x[i]! * x[j]!;
      hessian[i * columns + j] = (scale * sum) / samples;
      hessian[j * columns + i] = (scale * sum) / samples;
    }
    trace += hessian[i * (columns + 1)]!;
  }
  for (let i = 0; i < columns; i++) hessian[i * (columns + 1)]! += (damping * trace) / columns;
  return hessian;
}

/** Every column counts the same, for itself. */
export function identity(columns: number): Float32Array {
  return Float32Array.from({ length: columns * columns }, (_, i) => (i % (columns + 1) === 0 ? 1 : 0));
}

/** The mean squares that ggml's encoders are given. */
export function diagonalOf(hessian: Float32Array, columns: number): Float32Array {
  return Float32Array.from({ length: columns }, (_, j) => hessian[j * (columns + 1)]!);
}

/** Rows as trained layers have them: most weights small, a few large. */
export function trainedRows(random: Random, rows: number, columns: number, size = 0.05): Float32Array {
  return Float32Array.from(
    { length: rows * columns },
    () => size * random.normal() * (random.integer(40) === 0 ? 4 : 1),
  );
}

/** (w − q) H (w − q)ᵀ of each row. */
export function rowLosses(
  weights: Float32Array,
  values: Float32Array,
  hessian: Float32Array,
  columns: number,
): Float64Array {
  return Float64Array.from({ length: weights.length / columns }, (_, row) => {
    const error = Float64Array.from(
      { length: columns },
      (__, j) => weights[row * columns + j]! - values[row * columns + j]!,
    );
    let loss = 0;
    for (let i = 0; i < columns; i++) {
      if (error[i] === 0) continue;
      let product = 0;
      for (let j = 0; j < columns; j++) product += hessian[i * columns + j]! * error[j]!;
      loss += error[i]! * product;
    }
    return loss;
  });
}

export function total(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0);
}
