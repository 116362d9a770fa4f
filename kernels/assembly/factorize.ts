// H = (I + U) D (I + U)ᵀ, a Cholesky factorisation from the last column to the first; see the host's ldl.ts.
import { dot } from "./vector";

/**
 * Factorizes in place of a copy.
 *
 * @param hessian f32 [count × count], symmetric; kept
 * @param upper f32 [count × count]: becomes Uᵀ
 * @param diagonal f32 [count]: becomes D
 * @param work f32 [count × count]
 * @returns -1, or the column that shows the matrix is not positive definite
 */
export function factorize(count: i32, hessian: usize, upper: usize, diagonal: usize, work: usize): i32 {
  const row = (<usize>count) << 2;
  // Row i of `work` holds M_ik for k ≥ i, where H = M Mᵀ.
  memory.fill(work, 0, <usize>count * row);
  for (let j = count - 1; j >= 0; j--) {
    const at = (<usize>j) << 2;
    const after = at + 4;
    const left = count - 1 - j;
    const own = work + <usize>j * row;
    const pivot = load<f32>(hessian + <usize>j * row + at) - dot(own + after, own + after, left);
    if (!(pivot > 0 && pivot < Infinity)) return j;
    const root = sqrt<f32>(pivot);
    const inverse: f32 = 1 / root;
    store<f32>(own + at, root);
    for (let i = 0; i < j; i++) {
      const other = work + <usize>i * row;
      const value = load<f32>(hessian + <usize>i * row + at) - dot(other + after, own + after, left);
      store<f32>(other + at, value * inverse);
    }
  }
  memory.fill(upper, 0, <usize>count * row);
  for (let j = 0; j < count; j++) {
    const at = (<usize>j) << 2;
    const root = load<f32>(work + <usize>j * row + at);
    store<f32>(diagonal + at, root * root);
    const inverse: f32 = 1 / root;
    for (let i = 0; i < j; i++) {
      store<f32>(upper + <usize>j * row + ((<usize>i) << 2), load<f32>(work + <usize>i * row + at) * inverse);
    }
  }
  return -1;
}
