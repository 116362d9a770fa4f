// Rounding of rows to the types that look up eight or four magnitudes at a time: iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s.
// Error feedback between groups of eight columns, and descent. This is the plain twin of the kernel in kernels/assembly,
// which `codebook-kernel.ts` calls and tests compare with it.
import type { GgmlLibrary } from "../../../../native/engine.js";
import type { Effort, RoundingProblem, RoundingSolution } from "../problem.js";
import { addProducts } from "./add-products.js";
import { BLOCK_WEIGHTS, codebookFormat } from "./codebook-format.js";
import { type CodebookRows, emptyCodebookRows, packCodebookRows, rowOf } from "./codebook-rows.js";
import { type Codebook, codebookOf } from "./codebook.js";
import { Descent } from "./descent.js";
import { FeedBack } from "./feed-back.js";
import { type ProblemForms, problemForms } from "./problem-forms.js";

/** Sweeps of descent; the first two bring most of what it brings. */
export const SWEEPS: Record<Effort, number> = { fast: 0, default: 2, high: 12 };

/** Rows worked on together: enough to use each number of H often, few enough to stay in the cache. */
const SLAB_ROWS = 32;

/**
 * Rounds every row of a problem to a codebook type.
 *
 * @throws {RangeError} when the type has no codebook or a row is not a whole number of its blocks
 */
export function solveCodebookRows(ggml: GgmlLibrary, problem: RoundingProblem): RoundingSolution {
  const format = codebookFormat(problem.type);
  if (!format) throw new RangeError(`Type "${problem.type}" has no codebook`);
  const { rows, columns } = problem;
  const state = emptyCodebookRows(format, rows, columns);
  const book = codebookOf(ggml, format);
  const solver = new SlabSolver(book, problem, problemForms(problem, format.codeLength));
  const losses = new Float64Array(rows);
  for (let first = 0; first < rows; first += SLAB_ROWS) {
    const count = Math.min(SLAB_ROWS, rows - first);
    const slab = Array.from({ length: count }, (_, row) => rowOf(format, state, first + row, columns));
    losses.set(solver.round(first, slab), first);
  }
  return { bytes: packCodebookRows(format, state), losses };
}

class SlabSolver {
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
    this.#problem = problem;
    this.#feedBack = new FeedBack(book, problem, forms.conditional);
    this.#descent = new Descent(book, problem, forms.full);
    this.#errors = new Float64Array(SLAB_ROWS * problem.columns);
    this.#gradients = new Float64Array(SLAB_ROWS * problem.columns);
  }

  /** Rounds rows from `first` on into `slab`. @returns each row's loss */
  round(first: number, slab: readonly CodebookRows[]): Float64Array {
    this.#errors.fill(0);
    this.#feedErrorsBack(first, slab);
    this.#startGradients(slab.length);
    return Float64Array.from(slab, (own, row) => {
      const [error, gradient] = [this.#row(this.#errors, row), this.#row(this.#gradients, row)];
      this.#descent.improve(own, error, gradient, SWEEPS[this.#problem.effort]);
      return lossOf(error, gradient);
    });
  }

  #feedErrorsBack(first: number, slab: readonly CodebookRows[]): void {
    const rows = slab.length;
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
      slab.forEach((own, row) => {
        const targets = this.#targets.subarray(row * BLOCK_WEIGHTS, (row + 1) * BLOCK_WEIGHTS);
        const at = (first + row) * columns;
        const error = this.#row(this.#errors, row);
        this.#feedBack.roundBlock(weights.subarray(at, at + columns), targets, error, block, own);
      });
    }
  }

  #startGradients(rows: number): void {
    const { columns, hessian } = this.#problem;
    this.#gradients.fill(0);
    addProducts(
      { values: this.#errors, stride: columns, rows },
      { values: hessian, start: 0, stride: columns, rows: columns },
      { values: this.#gradients, stride: columns },
      columns,
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
