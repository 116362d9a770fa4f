// Error feedback over a tile of rows: each weight is rounded to what it should become, given the errors of those before it,
// with scales fitted block by block to what is left to round. The host's solve-scalar.ts says why.
import * as format from "./format";
import { fitScales } from "./fit-scales";
import { TILE, columns, diagonal, errors, targets, upper } from "./problem";
import { dot, dot4 } from "./vector";

/** Rounds the tile's rows and leaves their errors. */
export function feedBack(
  weights: usize,
  codes: usize,
  superScales: usize,
  superMins: usize,
  scales: usize,
  mins: usize,
): void {
  const row = (<usize>columns) << 2;
  const block = format.blockWeights;
  const blocks = columns / block;
  const groups = columns / format.groupWeights;
  const perBlock = block / format.groupWeights;
  for (let b = 0; b < blocks; b++) {
    const start = b * block;
    for (let j = start; j < start + block; j++) {
      const at = (<usize>j) << 2;
      dot4(errors, row, upper + <usize>j * row, start, targets + at, row);
      for (let r: usize = 0; r < TILE; r++) {
        const target = targets + r * row + at;
        store<f32>(target, load<f32>(target) + load<f32>(weights + r * row + at));
      }
    }
    for (let r = 0; r < <i32>TILE; r++) {
      const rowAt = <usize>r * row;
      const blockAt = <usize>(r * blocks + b);
      const groupAt = <usize>(r * groups + b * perBlock);
      const hasMins = format.minMax > 0;
      fitScales(
        targets + rowAt + ((<usize>start) << 2),
        diagonal + ((<usize>start) << 2),
        superScales + (blockAt << 2),
        hasMins ? superMins + (blockAt << 2) : 0,
        scales + (groupAt << 1),
        hasMins ? mins + groupAt : 0,
      );
      const superScale = load<f32>(superScales + (blockAt << 2));
      const superMin = hasMins ? load<f32>(superMins + (blockAt << 2)) : 0;
      for (let g = 0; g < perBlock; g++) {
        const group = groupAt + <usize>g;
        const scale = superScale * <f32>load<i16>(scales + (group << 1));
        const offset = hasMins ? -superMin * <f32>load<u8>(mins + group) : 0;
        const inverse: f32 = scale != 0 ? 1 / scale : 0;
        const first = start + g * format.groupWeights;
        for (let j = first; j < first + format.groupWeights; j++) {
          const at = (<usize>j) << 2;
          const inside = dot(
            errors + rowAt + ((<usize>start) << 2),
            upper + <usize>j * row + ((<usize>start) << 2),
            j - start,
          );
          const target = load<f32>(targets + rowAt + at) + inside;
          const code = format.codeOf((target - offset) * inverse);
          store<u8>(codes + <usize>(r * columns + j), <u8>code);
          store<f32>(errors + rowAt + at, load<f32>(weights + rowAt + at) - (scale * format.levelOf(code) + offset));
        }
      }
    }
  }
}

/** The errors of codes and scales that are there. */
export function measure(
  weights: usize,
  codes: usize,
  superScales: usize,
  superMins: usize,
  scales: usize,
  mins: usize,
): void {
  const blocks = columns / format.blockWeights;
  const groups = columns / format.groupWeights;
  for (let r = 0; r < <i32>TILE; r++) {
    for (let j = 0; j < columns; j++) {
      const block = <usize>(r * blocks + j / format.blockWeights);
      const group = <usize>(r * groups + j / format.groupWeights);
      const scale = load<f32>(superScales + (block << 2)) * <f32>load<i16>(scales + (group << 1));
      const offset = format.minMax > 0 ? -load<f32>(superMins + (block << 2)) * <f32>load<u8>(mins + group) : 0;
      const at = <usize>(r * columns + j);
      const level = format.levelOf(load<u8>(codes + at));
      store<f32>(errors + (at << 2), load<f32>(weights + (at << 2)) - (scale * level + offset));
    }
  }
}
