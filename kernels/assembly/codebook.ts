// The entry of the kernel for types with a codebook: rounds rows of a matrix. The host's solve-codebook-rows.ts is the same in
// plain TypeScript and says what is done and why; codebook-kernel.ts is who calls. It works in the memory of the other kernel,
// where the Hessian lies, and has no data of its own there.
import { BLOCK_WEIGHTS, SIGN_WEIGHTS, codeLength, groupWeights } from "./codebook/book";
import { descend } from "./codebook/descend";
import { roundBlock } from "./codebook/feed-back";
import { multiply } from "./codebook/products";
import { SLAB_ROWS, columns, errors, gradients, hessian, targets, upper } from "./codebook/problem";
import { dot } from "./vector";

export { setBook } from "./codebook/book";
export { prepareForms } from "./codebook/forms";
export { setProblem, workBytes } from "./codebook/problem";

export function slabRows(): i32 {
  return SLAB_ROWS;
}

/**
 * Rounds up to `slabRows()` rows.
 *
 * @param weights f32 [columns × rows]
 * @param codes u16, signs u8, scales u8, superScales f32: as in `CodebookRows`, written
 * @param losses f32 [rows], written
 */
export function roundSlab(
  rows: i32,
  sweeps: i32,
  weights: usize,
  codes: usize,
  signs: usize,
  scales: usize,
  superScales: usize,
  losses: usize,
): void {
  const row = (<usize>columns) << 2;
  const rowsAtOnce = (rows + 3) & ~3;
  const codesRow = (<usize>(columns / codeLength)) << 1;
  const signsRow = <usize>(columns / SIGN_WEIGHTS);
  const scalesRow = <usize>(columns / groupWeights);
  const superScalesRow = (<usize>(columns / BLOCK_WEIGHTS)) << 2;
  memory.fill(errors, 0, <usize>rowsAtOnce * row);
  for (let block = 0; block < columns / BLOCK_WEIGHTS; block++) {
    targetBlock(block, rows, rowsAtOnce, weights);
    for (let r: usize = 0; r < <usize>rows; r++) {
      roundBlock(
        block,
        weights + r * row,
        targets + ((r * <usize>BLOCK_WEIGHTS) << 2),
        errors + r * row,
        codes + r * codesRow,
        signs + r * signsRow,
        scales + r * scalesRow,
        superScales + r * superScalesRow,
      );
    }
  }
  multiply(errors, rowsAtOnce, hessian, columns, row, columns, gradients, row);
  for (let r: usize = 0; r < <usize>rows; r++) {
    const error = errors + r * row;
    const gradient = gradients + r * row;
    descend(
      sweeps,
      error,
      gradient,
      codes + r * codesRow,
      signs + r * signsRow,
      scales + r * scalesRow,
      superScales + r * superScalesRow,
    );
    store<f32>(losses + (r << 2), max<f32>(0, dot(error, gradient, columns)));
  }
}

/** What the weights of a block should become after the errors before it. */
function targetBlock(block: i32, rows: i32, rowsAtOnce: i32, weights: usize): void {
  const row = (<usize>columns) << 2;
  const start = block * BLOCK_WEIGHTS;
  const blockBytes = (<usize>BLOCK_WEIGHTS) << 2;
  multiply(errors, rowsAtOnce, upper + <usize>start * row, BLOCK_WEIGHTS, row, start, targets, blockBytes);
  for (let r: usize = 0; r < <usize>rows; r++) {
    const from = weights + r * row + ((<usize>start) << 2);
    const to = targets + r * blockBytes;
    for (let i: usize = 0; i < blockBytes; i += 16) {
      v128.store(to + i, f32x4.add(v128.load(to + i), v128.load(from + i)));
    }
  }
}
