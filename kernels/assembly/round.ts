// The kernel's entry: rounds rows of a matrix to a type with one scale per group of weights. The host's solve-scalar.ts is the
// same in plain TypeScript and says what is done and why; rounding-kernel.ts is who calls.
import * as format from "./format";
import { descend } from "./descend";
import { feedBack, measure } from "./feed-back";
import { TILE, columns, errors, gradients, hessian } from "./problem";
import { dot, dot4 } from "./vector";

export { allocate, mark, release } from "./memory";
export { levelsAddress, setFormat } from "./format";
export { setProblem, workBytes } from "./problem";
export { factorize } from "./factorize";
export { retargetTile } from "./retarget";

/**
 * Rounds four rows; see `RowsState` for what is written. Without feedback the present codes and scales are the start.
 *
 * @param losses f32 [4]
 */
export function roundTile(
  weights: usize,
  rounds: i32,
  feedback: bool,
  codes: usize,
  superScales: usize,
  superMins: usize,
  scales: usize,
  mins: usize,
  losses: usize,
): void {
  const row = (<usize>columns) << 2;
  const blocks = <usize>(columns / format.blockWeights);
  const groups = <usize>(columns / format.groupWeights);
  const minBlocks = format.minMax > 0 ? blocks : 0;
  const minGroups = format.minMax > 0 ? groups : 0;
  if (feedback) feedBack(weights, codes, superScales, superMins, scales, mins);
  else measure(weights, codes, superScales, superMins, scales, mins);
  for (let j = 0; j < columns; j++) {
    dot4(errors, row, hessian + <usize>j * row, columns, gradients + ((<usize>j) << 2), row);
  }
  for (let r = 0; r < <i32>TILE; r++) {
    const at = <usize>r;
    descend(
      rounds,
      errors + at * row,
      gradients + at * row,
      codes + at * <usize>columns,
      superScales + ((at * blocks) << 2),
      superMins + ((at * minBlocks) << 2),
      scales + ((at * groups) << 1),
      mins + at * minGroups,
    );
    store<f32>(losses + (at << 2), max<f32>(0, dot(errors + at * row, gradients + at * row, columns)));
  }
}

/** w H wᵀ of four rows; `out` f32 [4]. */
export function powersTile(rows: usize, out: usize): void {
  const row = (<usize>columns) << 2;
  for (let j = 0; j < columns; j++) {
    dot4(rows, row, hessian + <usize>j * row, columns, gradients + ((<usize>j) << 2), row);
  }
  for (let r: usize = 0; r < TILE; r++) {
    store<f32>(out + (r << 2), dot(rows + r * row, gradients + r * row, columns));
  }
}
