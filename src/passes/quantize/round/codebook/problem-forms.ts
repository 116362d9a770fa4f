// The quadratic forms of eight neighbouring columns, which all rows share, prepared for the search.
import type { RoundingProblem } from "../problem.js";
import { SIGN_WEIGHTS } from "./codebook-format.js";

/** What moving eight weights costs, and one codeword's weights among them. */
export interface EightForm {
  /** S [8 × 8] */
  whole: Float64Array;
  /** One for each codeword. */
  parts: readonly CodewordForm[];
}

/** A form M over one codeword, whose first half is A and whose second half is B. */
export interface CodewordForm {
  /** M [codeLength × codeLength] */
  whole: Float64Array;
  /** What A costs with the best real B: M_AA − M_AB M_BB⁻¹ M_BA. */
  first: Float64Array;
  /** M_AB M_BB⁻¹ */
  carry: Float64Array;
  /** M_BB⁻¹ */
  secondInverse: Float64Array;
}

export interface ProblemForms {
  /** For each eight, while the columns after them can make up for errors: (I + U) D (I + U)ᵀ of the eight. */
  conditional: readonly EightForm[];
  /** For each eight, while all other columns stay: H of the eight. */
  full: readonly EightForm[];
}

/** Prepares every eight columns of a problem. */
export function problemForms({ columns, hessian, factor }: RoundingProblem, codeLength: number): ProblemForms {
  const starts = Array.from({ length: columns / SIGN_WEIGHTS }, (_, k) => k * SIGN_WEIGHTS);
  const form = (entry: (i: number, j: number) => number) => eightForm(matrix(SIGN_WEIGHTS, entry), codeLength);
  return {
    full: starts.map((start) => form((i, j) => hessian[(start + i) * columns + start + j]!)),
    conditional: starts.map((start) => {
      const unit = (i: number, k: number) => (i === k ? 1 : factor.upper[(start + k) * columns + start + i]!);
      return form((i, j) => {
        let sum = 0;
        for (let k = Math.max(i, j); k < SIGN_WEIGHTS; k++)
          sum += unit(i, k) * factor.diagonal[start + k]! * unit(j, k);
        return sum;
      });
    }),
  };
}

/** Prepares a form S [8 × 8], symmetric and positive definite, for codewords of 8 or 4. */
export function eightForm(whole: Float64Array, codeLength: number): EightForm {
  const offsets = Array.from({ length: SIGN_WEIGHTS / codeLength }, (_, part) => part * codeLength);
  return {
    whole,
    parts: offsets.map((offset) =>
      codewordForm(
        matrix(codeLength, (i, j) => whole[(offset + i) * SIGN_WEIGHTS + offset + j]!),
        codeLength,
      ),
    ),
  };
}

function codewordForm(whole: Float64Array, length: number): CodewordForm {
  const half = length / 2;
  const at = (i: number, j: number) => whole[i * length + j]!;
  const secondInverse = inverse(
    matrix(half, (i, j) => at(half + i, half + j)),
    half,
  );
  const carry = matrix(half, (i, j) => {
    let sum = 0;
    for (let k = 0; k < half; k++) sum += at(i, half + k) * secondInverse[k * half + j]!;
    return sum;
  });
  const first = matrix(half, (i, j) => {
    let sum = at(i, j);
    for (let k = 0; k < half; k++) sum -= carry[i * half + k]! * at(half + k, j);
    return sum;
  });
  return { whole, first, carry, secondInverse };
}

function matrix(size: number, entry: (i: number, j: number) => number): Float64Array {
  return Float64Array.from({ length: size ** 2 }, (_, at) => entry(Math.floor(at / size), at % size));
}

/** Gauss–Jordan without pivoting, which a positive definite matrix does not need. */
function inverse(entries: Float64Array, size: number): Float64Array {
  const rest = entries.slice();
  const result = matrix(size, (i, j) => (i === j ? 1 : 0));
  for (let pivot = 0; pivot < size; pivot++) {
    const scale = 1 / rest[pivot * size + pivot]!;
    for (let j = 0; j < size; j++) {
      rest[pivot * size + j]! *= scale;
      result[pivot * size + j]! *= scale;
    }
    for (let i = 0; i < size; i++) {
      const factor = i === pivot ? 0 : rest[i * size + pivot]!;
      for (let j = 0; j < size; j++) {
        rest[i * size + j]! -= factor * rest[pivot * size + j]!;
        result[i * size + j]! -= factor * result[pivot * size + j]!;
      }
    }
  }
  return result;
}
