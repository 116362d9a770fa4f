// What the rows of a matrix share, and the work memory of the rows that are rounded side by side. The host hands all memory
// out, as this module works in that of another one: nothing here may lie at a fixed address.
import { BLOCK_WEIGHTS } from "./book";
import { FORM_BYTES } from "./form-layout";

/** Rows that are rounded side by side at most: a multiple of four. */
export const SLAB_ROWS: i32 = 16;

const BLOCK_BYTES: usize = (<usize>BLOCK_WEIGHTS) << 2;
const SMALL_BYTES: usize = 512;

export let columns: i32 = 0;
/** H f32 [columns × columns]. */
export let hessian: usize = 0;
/** Uᵀ f32 [columns × columns] and D f32 [columns]: see `factorize`. */
export let upper: usize = 0;
export let diagonal: usize = 0;
/** Forms of each eight columns, while the columns after them can make up for errors, and while all others stay. */
export let conditionalForms: usize = 0;
export let fullForms: usize = 0;
/** w − q and (w − q) H, f32 [columns × SLAB_ROWS]. */
export let errors: usize = 0;
export let gradients: usize = 0;
/** What a block's weights should become, f32 [256 × SLAB_ROWS]. */
export let targets: usize = 0;
/** What moves with a superscale, f32 [256]. */
export let direction: usize = 0;
/** Of the search for a codeword, of that for eight weights, of the groups' steps, of rounding and of descent. */
export let boundsWork: usize = 0;
export let eightWork: usize = 0;
export let stepsWork: usize = 0;
export let feedBackWork: usize = 0;
export let descentWork: usize = 0;

export function workBytes(count: i32): usize {
  const forms = <usize>(count >> 3) * FORM_BYTES;
  return 2 * forms + <usize>SLAB_ROWS * (8 * <usize>count + BLOCK_BYTES) + BLOCK_BYTES + 5 * SMALL_BYTES;
}

/** Sets what the rows of a matrix share; `prepareForms` comes after it. */
export function setProblem(count: i32, hessianAt: usize, upperAt: usize, diagonalAt: usize, work: usize): void {
  const forms = <usize>(count >> 3) * FORM_BYTES;
  const slab = (<usize>SLAB_ROWS * <usize>count) << 2;
  columns = count;
  hessian = hessianAt;
  upper = upperAt;
  diagonal = diagonalAt;
  conditionalForms = work;
  fullForms = conditionalForms + forms;
  errors = fullForms + forms;
  gradients = errors + slab;
  targets = gradients + slab;
  direction = targets + <usize>SLAB_ROWS * BLOCK_BYTES;
  boundsWork = direction + BLOCK_BYTES;
  eightWork = boundsWork + SMALL_BYTES;
  stepsWork = eightWork + SMALL_BYTES;
  feedBackWork = stepsWork + SMALL_BYTES;
  descentWork = feedBackWork + SMALL_BYTES;
}
