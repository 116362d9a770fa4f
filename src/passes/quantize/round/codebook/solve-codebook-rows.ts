// Rounding of rows to the types that look up eight or four magnitudes at a time: iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s.
// ggml's own rounding gives each block its superscale and each group a first guess of its scale; then error feedback
// between groups of eight columns, and descent. A row that comes out worse than ggml's is kept as ggml's.
//
// Error feedback over vectors: Tseng et al., 2024 (QuIP#, BlockLDLQ), arXiv:2402.04396; the codebooks are ggml's.
import type { GgmlLibrary } from "../../../../native/engine.js";
import { dequantize, quantizeRows } from "../../../../native/ggml.js";
import type { Effort, RoundingProblem, RoundingSolution } from "../problem.js";
import { addProducts } from "./add-products.js";
import { BLOCK_WEIGHTS, codebookFormat } from "./codebook-format.js";
import { type CodebookRows, packCodebookRows, rowOf, unpackCodebookRows } from "./codebook-rows.js";
import { type Codebook, codebookOf } from "./codebook.js";
import { Descent } from "./descent.js";
import { FeedBack } from "./feed-back.js";
import { type ProblemForms, problemForms } from "./problem-forms.js";

/** Sweeps of descent; the first two bring most of what it brings. */
export const SWEEPS: Record<Effort, number> = { fast: 0, default: 2, high: 12 };

/** Rows worked on together: enough to use each number of H often, few enough to stay in the cache. */
const SLAB_ROWS = 32;

/**
 * Rounds every row of a problem to a codebook type, never worse than ggml does with the Hessian's diagonal as importance.
 *
 * Operations per weight at default effort, as counted on real layers of n columns: 0.9 searches for a codeword of eight
 * (3500 operations) or 2.9 for one of four (2600), and 3 n multiplications and additions: 2 n for gradients, n / 2 for errors
 * fed back, the rest for what descent moves.
 *
 * @throws {RangeError} when the type has no codebook or a row is not a whole number of its blocks
 */
export function solveCodebookRows(ggml: GgmlLibrary, problem: RoundingProblem): RoundingSolution {
  const format = codebookFormat(problem.type);
  if (!format) throw new RangeError(`Type "${problem.type}" has no codebook`);
  const { rows, columns } = problem;
  const book = codebookOf(ggml, format);
  const solver = new SlabSolver(book, problem, problemForms(problem, format.codeLength));
  const bytes = quantizeRows(ggml, format.type, problem.weights, columns, diagonalOf(problem));
  const losses = new Float64Array(rows);
  const rowBytes = bytes.byteLength / rows;
  for (let first = 0; first < rows; first += SLAB_ROWS) {
    const count = Math.min(SLAB_ROWS, rows - first);
    const slabBytes = bytes.subarray(first * rowBytes, (first + count) * rowBytes);
    const values = dequantize(ggml, format.type, slabBytes, count * columns);
    losses.set(solver.improve(first, count, slabBytes, values), first);
  }
  return { bytes, losses };
}

function diagonalOf({ hessian, columns }: RoundingProblem): Float32Array {
  return Float32Array.from({ length: columns }, (_, j) => hessian[j * (columns + 1)]!);
}

class SlabSolver {
  readonly #book: Codebook;
  readonly #problem: RoundingProblem;
  readonly #feedBack: FeedBack;
  readonly #descent: Descent;
  /** w − q [columns × rows] */
  readonly #errors: Float64Array;
  /** (w − q) H [columns × rows] */
  readonly #gradients: Float64Array;
  /** [256 × rows] */
  readonly #targets = new Float64Array(SLAB_ROWS * BLOCK_WEIGHTS);

  constructor(book: Codebook, problem: RoundingProblem, forms: ProblemForms) {
    this.#book = book;
    this.#problem = problem;
    this.#feedBack = new FeedBack(book, problem, forms.conditional);
    this.#descent = new Descent(book, problem, forms.full);
    this.#errors = new Float64Array(SLAB_ROWS * problem.columns);
    this.#gradients = new Float64Array(SLAB_ROWS * problem.columns);
  }

  /**
   * Writes rows over ggml's where they are better.
   *
   * @param bytes ggml's rows
   * @param values the same, decoded
   * @returns each row's loss
   */
  improve(first: number, rows: number, bytes: Uint8Array, values: Float32Array): Float64Array {
    const { columns, weights, effort } = this.#problem;
    const start = first * columns;
    for (let j = 0; j < rows * columns; j++) this.#errors[j] = weights[start + j]! - values[j]!;
    const losses = this.#startGradients(rows);
    const state = unpackCodebookRows(this.#book.format, bytes, rows, columns);
    this.#feedErrorsBack(first, rows, state);
    this.#startGradients(rows);
    const rowBytes = bytes.byteLength / rows;
    for (let row = 0; row < rows; row++) {
      const own = rowOf(this.#book.format, state, row, columns);
      const [error, gradient] = [this.#row(this.#errors, row), this.#row(this.#gradients, row)];
      this.#descent.improve(own, error, gradient, SWEEPS[effort]);
      const loss = lossOf(error, gradient);
      if (!(loss < losses[row]!)) continue;
      losses[row] = loss;
      bytes.set(packCodebookRows(this.#book.format, own), row * rowBytes);
    }
    return losses;
  }

  #feedErrorsBack(first: number, rows: number, state: CodebookRows): void {
    const { columns, weights, factor } = this.#problem;
    for (let block = 0; block < columns / BLOCK_WEIGHTS; block++) {
      const start = block * BLOCK_WEIGHTS;
      for (let row = 0; row < rows; row++) {
        const at = (first + row) * columns + start;
        for (let j = 0; j < BLOCK_WEIGHTS; j++) this.#targets[row * BLOCK_WEIGHTS + j] = weights[at + j]!;
      }
      addProducts(
        { values: this.#errors, stride: columns, rows },
        { values: factor.upper, start: start * columns, stride: columns, rows: BLOCK_WEIGHTS },
        { values: this.#targets, stride: BLOCK_WEIGHTS },
        start,
      );
      for (let row = 0; row < rows; row++) {
        const own = rowOf(this.#book.format, state, row, columns);
        const targets = this.#targets.subarray(row * BLOCK_WEIGHTS, (row + 1) * BLOCK_WEIGHTS);
        const at = (first + row) * columns;
        this.#feedBack.roundBlock(
          weights.subarray(at, at + columns),
          targets,
          this.#row(this.#errors, row),
          block,
          own,
        );
      }
    }
  }

  /** Gradients from errors. @returns each row's loss */
  #startGradients(rows: number): Float64Array {
    const { columns, hessian } = this.#problem;
    this.#gradients.fill(0);
    addProducts(
      { values: this.#errors, stride: columns, rows },
      { values: hessian, start: 0, stride: columns, rows: columns },
      { values: this.#gradients, stride: columns },
      columns,
    );
    return Float64Array.from({ length: rows }, (_, row) =>
      lossOf(this.#row(this.#errors, row), this.#row(this.#gradients, row)),
    );
  }

  #row(values: Float64Array, row: number): Float64Array {
    return values.subarray(row * this.#problem.columns, (row + 1) * this.#problem.columns);
  }
}

function lossOf(error: Float64Array, gradient: Float64Array): number {
  let loss = 0;
  for (let j = 0; j < error.length; j++) loss += error[j]! * gradient[j]!;
  return Math.max(0, loss);
}
