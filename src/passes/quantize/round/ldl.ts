// The factor that error feedback runs on: H = (I + U) D (I + U)ᵀ with U strictly upper triangular. It is a Cholesky
// factorisation from the last column to the first, so no inverse is ever formed (LDLQ: Chee et al., 2023,
// arXiv:2307.13304, whose theorem 6 shows it equal to GPTQ, arXiv:2210.17323).
import { PareError } from "../../../errors.js";
import type { LdlFactor } from "./problem.js";

/**
 * Factorizes a symmetric positive definite matrix, in double precision: n³/6 multiplications and additions.
 *
 * @param hessian [columns × columns], symmetric
 * @throws {PareError} when it is not positive definite, or holds what is no finite number
 */
export function factorize(hessian: Float32Array, columns: number): LdlFactor {
  // M upper triangular with H = M Mᵀ; row i of `rows` holds M_ik for k ≥ i, so that both factors of a product lie in rows.
  const rows = new Float64Array(columns * columns);
  for (let j = columns - 1; j >= 0; j--) {
    const pivot = hessian[j * columns + j]! - dot(rows, j, j, j + 1, columns);
    if (!(pivot > 0 && pivot < Infinity)) throw unfactorable(hessian, columns, j);
    const root = Math.sqrt(pivot);
    rows[j * columns + j] = root;
    for (let i = 0; i < j; i++) {
      rows[i * columns + j] = (hessian[i * columns + j]! - dot(rows, i, j, j + 1, columns)) / root;
    }
  }
  const upper = new Float32Array(columns * columns);
  const diagonal = new Float32Array(columns);
  for (let j = 0; j < columns; j++) {
    const root = rows[j * columns + j]!;
    diagonal[j] = root * root;
    for (let i = 0; i < j; i++) upper[j * columns + i] = rows[i * columns + j]! / root;
  }
  return { columns, upper, diagonal };
}

/** Σ rows_ak rows_bk over k from `start` to `columns`. */
function dot(rows: Float64Array, a: number, b: number, start: number, columns: number): number {
  let sum = 0;
  for (let k = start; k < columns; k++) sum += rows[a * columns + k]! * rows[b * columns + k]!;
  return sum;
}

/** Why a matrix has no factor, when column `column` was the first from the right to show it. */
export function unfactorable(hessian: Float32Array, columns: number, column: number): PareError {
  const unsound = hessian.findIndex((value) => !Number.isFinite(value));
  if (unsound >= 0) {
    const [row, at] = [Math.floor(unsound / columns), unsound % columns];
    return new PareError(`The Hessian holds ${hessian[unsound]} in row ${row}, column ${at}`, {
      hint: "Calibrate on other text, or check the model's weights",
    });
  }
  return new PareError(
    `The Hessian is not positive definite: column ${column} says nothing that those after it do not`,
    {
      hint: "Calibrate on more text, or with more damping",
    },
  );
}
