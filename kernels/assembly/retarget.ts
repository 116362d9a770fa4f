// Where rows should go when their inputs have drifted: w + s, with s H = w (C − H). The host's retarget.ts says why.
import { dot, dot4, subtractScaled } from "./vector";

/**
 * Moves four rows, in place.
 *
 * @param rows f32 [4 × count]
 * @param drift f32 [count × count]: (C − H)ᵀ
 * @param upper f32 [count × count]: Uᵀ; diagonal f32 [count]: D, both of the damped H
 * @param share how much of the way to go, 0 to 1
 * @param work f32 [4 × count]
 */
export function retargetTile(
  rows: usize,
  count: i32,
  drift: usize,
  upper: usize,
  diagonal: usize,
  share: f32,
  work: usize,
): void {
  const row = (<usize>count) << 2;
  for (let j = 0; j < count; j++) dot4(rows, row, drift + <usize>j * row, count, work + ((<usize>j) << 2), row);
  for (let r: usize = 0; r < 4; r++) {
    const solution = work + r * row;
    // v (I + U)ᵀ = r, from the last column to the first
    for (let k = count - 1; k > 0; k--) {
      const value = load<f32>(solution + ((<usize>k) << 2));
      subtractScaled(solution, value, upper + <usize>k * row, k);
    }
    // x (I + U) = v D⁻¹, from the first to the last
    for (let j = 0; j < count; j++) {
      const at = (<usize>j) << 2;
      const known = dot(solution, upper + <usize>j * row, j);
      store<f32>(solution + at, load<f32>(solution + at) / load<f32>(diagonal + at) - known);
    }
    subtractScaled(rows + r * row, -share, solution, count);
  }
}
