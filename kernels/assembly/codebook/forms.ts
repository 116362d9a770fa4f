// The quadratic forms of each eight columns, prepared for the search; see problem-forms.ts of the host.
import { SIGN_WEIGHTS, codeLength } from "./book";
import { DIAGONAL, FORM_BYTES, FOUR_PART_BYTES, PART } from "./form-layout";
import { boundsWork, columns, conditionalForms, diagonal, fullForms, hessian, upper } from "./problem";

/** Prepares the forms of the present problem for codewords of the present book. */
export function prepareForms(): void {
  const row = (<usize>columns) << 2;
  for (let eight = 0; eight < columns / SIGN_WEIGHTS; eight++) {
    const start = eight * SIGN_WEIGHTS;
    const form = <usize>eight * FORM_BYTES;
    for (let i = 0; i < SIGN_WEIGHTS; i++) {
      for (let j = 0; j < SIGN_WEIGHTS; j++) {
        const at = (<usize>(i * SIGN_WEIGHTS + j)) << 2;
        store<f32>(fullForms + form + at, load<f32>(hessian + <usize>(start + i) * row + ((<usize>(start + j)) << 2)));
        let sum: f32 = 0;
        for (let k = max(i, j); k < SIGN_WEIGHTS; k++) {
          const spread = load<f32>(diagonal + ((<usize>(start + k)) << 2));
          sum += unit(start, i, k) * spread * unit(start, j, k);
        }
        store<f32>(conditionalForms + form + at, sum);
      }
    }
    finish(fullForms + form);
    finish(conditionalForms + form);
  }
}

/** I + U of the eight columns. */
function unit(start: i32, i: i32, k: i32): f32 {
  if (i == k) return 1;
  return load<f32>(upper + ((<usize>((start + k) * columns + start + i)) << 2));
}

/** Adds to S what follows from it. */
function finish(form: usize): void {
  for (let i = 0; i < SIGN_WEIGHTS; i++) {
    store<f32>(form + DIAGONAL + ((<usize>i) << 2), load<f32>(form + ((<usize>(i * (SIGN_WEIGHTS + 1))) << 2)));
  }
  for (let part = 0; part * codeLength < SIGN_WEIGHTS; part++) {
    const corner = form + ((<usize>(part * codeLength * (SIGN_WEIGHTS + 1))) << 2);
    finishPart(corner, form + PART + <usize>part * FOUR_PART_BYTES, codeLength >> 1);
  }
}

/** Splits a codeword's form into halves A and B of `half` weights each. */
function finishPart(corner: usize, out: usize, half: i32): void {
  const square = (<usize>(half * half)) << 2;
  invert(corner + ((<usize>(half * (SIGN_WEIGHTS + 1))) << 2), out + 2 * square, half);
  for (let i = 0; i < half; i++) {
    for (let j = 0; j < half; j++) {
      let sum: f32 = 0;
      for (let k = 0; k < half; k++) sum += whole(corner, i, half + k) * entry(out + 2 * square, half, k, j);
      store<f32>(out + square + ((<usize>(i * half + j)) << 2), sum);
    }
    for (let j = 0; j < half; j++) {
      let sum = whole(corner, i, j);
      for (let k = 0; k < half; k++) sum -= entry(out + square, half, i, k) * whole(corner, half + k, j);
      store<f32>(out + ((<usize>(i * half + j)) << 2), sum);
    }
  }
}

function whole(corner: usize, i: i32, j: i32): f32 {
  return entry(corner, SIGN_WEIGHTS, i, j);
}

function entry(matrix: usize, stride: i32, i: i32, j: i32): f32 {
  return load<f32>(matrix + ((<usize>(i * stride + j)) << 2));
}

/** Gauss–Jordan without pivoting, which a positive definite matrix does not need. */
function invert(corner: usize, out: usize, size: i32): void {
  const rest = boundsWork;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      store<f32>(rest + ((<usize>(i * size + j)) << 2), whole(corner, i, j));
      store<f32>(out + ((<usize>(i * size + j)) << 2), i == j ? 1 : 0);
    }
  }
  for (let pivot = 0; pivot < size; pivot++) {
    const scale: f32 = 1 / entry(rest, size, pivot, pivot);
    for (let i = 0; i < size; i++) {
      if (i == pivot) continue;
      const factor = scale * entry(rest, size, i, pivot);
      subtractRow(rest, size, i, factor, pivot);
      subtractRow(out, size, i, factor, pivot);
    }
    subtractRow(rest, size, pivot, 1 - scale, pivot);
    subtractRow(out, size, pivot, 1 - scale, pivot);
  }
}

function subtractRow(matrix: usize, size: i32, i: i32, factor: f32, pivot: i32): void {
  for (let j = 0; j < size; j++) {
    const at = matrix + ((<usize>(i * size + j)) << 2);
    store<f32>(at, load<f32>(at) - factor * entry(matrix, size, pivot, j));
  }
}
