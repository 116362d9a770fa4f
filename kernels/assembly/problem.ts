// What the rows of a matrix share, and the work memory of the rows that are rounded side by side.

/** Rows that are rounded side by side, so that what they share is read once. */
export const TILE: usize = 4;

export let columns: i32 = 0;
/** H f32 [columns × columns]. */
export let hessian: usize = 0;
/** Uᵀ f32 [columns × columns] and D f32 [columns]: see `factorize`. */
export let upper: usize = 0;
export let diagonal: usize = 0;
/** Per row of the tile, f32 [columns × 4] each: w − q, what weights should become, (w − q) H. */
export let errors: usize = 0;
export let targets: usize = 0;
export let gradients: usize = 0;
/** A direction to move along, f32 [columns]. */
export let direction: usize = 0;

/** Bytes of work memory for rows of `count`. */
export function workBytes(count: i32): usize {
  return <usize>count * 4 * (3 * TILE + 1);
}

/** Sets what the rows of a matrix share; arrays are f32, `upper` is Uᵀ. */
export function setProblem(count: i32, hessianAt: usize, upperAt: usize, diagonalAt: usize, work: usize): void {
  const row = (<usize>count) << 2;
  columns = count;
  hessian = hessianAt;
  upper = upperAt;
  diagonal = diagonalAt;
  errors = work;
  targets = errors + TILE * row;
  gradients = targets + TILE * row;
  direction = gradients + TILE * row;
}
