// Rounding of rows to a type with one scale per group of weights: error feedback with scales fitted block by block to what
// is left to round, then coordinate descent on codes, scales and block scales, each step exact and never upwards.
// Plain TypeScript in double precision; the kernel that does the work in earnest is its twin.
//
// Error feedback: Frantar et al., 2022 (GPTQ), arXiv:2210.17323, in the form of Chee et al., 2023, arXiv:2307.13304.
import { nearestFloat16 } from "../../../support/float16.js";
import { type RowScales, fitScales } from "./fit-scales.js";
import { codeOf } from "./nearest-code.js";
import type { Effort, RoundingProblem } from "./problem.js";
import type { RowsState, ScalarFormat } from "./scalar-format.js";
import { usableLevels } from "./usable-levels.js";

/** Rounds of descent: a sweep over all codes, then one over all scales. */
export const ROUNDS: Record<Effort, number> = { fast: 0, default: 4, high: 12 };

/** What was found for a slab of rows. */
export interface ScalarSolution {
  state: RowsState;
  /** (w − q) H (w − q)ᵀ of each row. */
  losses: Float64Array;
}

/** Rounds every row of a problem. */
export function solveScalarRows(format: ScalarFormat, problem: RoundingProblem): ScalarSolution {
  const { levels, skipped } = usableLevels(format);
  const { rows, columns } = problem;
  const [blocks, groups] = [columns / format.blockWeights, columns / format.groupWeights];
  const hasMins = format.minMax > 0;
  const state: RowsState = {
    codes: new Uint8Array(rows * columns),
    superScales: new Float32Array(rows * blocks),
    superMins: new Float32Array(hasMins ? rows * blocks : 0),
    scales: new Int16Array(rows * groups),
    mins: new Uint8Array(hasMins ? rows * groups : 0),
  };
  const losses = new Float64Array(rows);
  const solver = new RowSolver({ ...format, levels }, problem);
  for (let row = 0; row < rows; row++) {
    losses[row] = solver.solve(problem.weights.subarray(row * columns, (row + 1) * columns), {
      codes: state.codes.subarray(row * columns, (row + 1) * columns),
      superScales: state.superScales.subarray(row * blocks, (row + 1) * blocks),
      superMins: state.superMins.subarray(row * blocks, (row + 1) * blocks),
      scales: state.scales.subarray(row * groups, (row + 1) * groups),
      mins: state.mins.subarray(row * groups, (row + 1) * groups),
    });
  }
  for (let i = 0; i < state.codes.length; i++) state.codes[i]! += skipped;
  return { state, losses };
}

class RowSolver {
  readonly #format: ScalarFormat;
  readonly #problem: RoundingProblem;
  /** w − q. */
  readonly #error: Float64Array;
  /** What each weight should become, given the errors before it. */
  readonly #target: Float64Array;
  /** (w − q) H. */
  readonly #gradient: Float64Array;
  /** A direction to move along, one number per column of a group or block. */
  readonly #direction: Float64Array;

  constructor(format: ScalarFormat, problem: RoundingProblem) {
    this.#format = format;
    this.#problem = problem;
    this.#error = new Float64Array(problem.columns);
    this.#target = new Float64Array(problem.columns);
    this.#gradient = new Float64Array(problem.columns);
    this.#direction = new Float64Array(problem.columns);
  }

  solve(weights: Float32Array, out: RowsState): number {
    this.#feedBack(weights, out);
    const rounds = ROUNDS[this.#problem.effort];
    this.#startDescent();
    for (let round = 0; round < rounds; round++) {
      const moved = this.#sweepCodes(out);
      this.#refitScales(out);
      if (moved === 0 && round > 0) break;
    }
    let loss = 0;
    for (let j = 0; j < this.#error.length; j++) loss += this.#error[j]! * this.#gradient[j]!;
    return Math.max(0, loss);
  }

  #feedBack(weights: Float32Array, out: RowsState): void {
    const { factor, columns } = this.#problem;
    const { blockWeights } = this.#format;
    const [error, target] = [this.#error, this.#target];
    const carried = (j: number, from: number, to: number): number => {
      let sum = 0;
      for (let i = from; i < to; i++) sum += error[i]! * factor.upper[j * columns + i]!;
      return sum;
    };
    for (let start = 0; start < columns; start += blockWeights) {
      const end = start + blockWeights;
      for (let j = start; j < end; j++) target[j] = weights[j]! + carried(j, 0, start);
      const block = start / blockWeights;
      fitScales(this.#format, target.subarray(start, end), factor.diagonal.subarray(start, end), block, out);
      for (let j = start; j < end; j++) {
        target[j]! += carried(j, start, j);
        const { scale, offset } = this.#affine(out, j);
        const code = codeOf(this.#format, scale === 0 ? 0 : (target[j]! - offset) / scale);
        out.codes[j] = code;
        error[j] = weights[j]! - (scale * this.#format.levels[code]! + offset);
      }
    }
  }

  #affine(out: RowScales, column: number): { scale: number; offset: number } {
    const { blockWeights, groupWeights, minMax } = this.#format;
    const [block, group] = [Math.floor(column / blockWeights), Math.floor(column / groupWeights)];
    return {
      scale: out.superScales[block]! * out.scales[group]!,
      offset: minMax > 0 ? -out.superMins[block]! * out.mins[group]! : 0,
    };
  }

  #startDescent(): void {
    const { hessian, columns } = this.#problem;
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let i = 0; i < columns; i++) sum += this.#error[i]! * hessian[j * columns + i]!;
      this.#gradient[j] = sum;
    }
  }

  /** @returns how many codes changed */
  #sweepCodes(out: RowsState): number {
    const { hessian, columns } = this.#problem;
    const { levels } = this.#format;
    let moved = 0;
    for (let j = 0; j < columns; j++) {
      const { scale, offset } = this.#affine(out, j);
      if (scale === 0) continue;
      const value = scale * levels[out.codes[j]!]! + offset;
      const wanted = value + this.#gradient[j]! / hessian[j * columns + j]!;
      const code = codeOf(this.#format, (wanted - offset) / scale);
      if (code === out.codes[j]) continue;
      this.#move(j, scale * (levels[code]! - levels[out.codes[j]!]!));
      out.codes[j] = code;
      moved++;
    }
    return moved;
  }

  /** Adds `step` to q_j. */
  #move(j: number, step: number): void {
    const { hessian, columns } = this.#problem;
    this.#error[j]! -= step;
    for (let i = 0; i < columns; i++) this.#gradient[i]! -= step * hessian[j * columns + i]!;
  }

  #refitScales(out: RowsState): void {
    const { blockWeights, groupWeights, levels, scaleMin, scaleMax, minMax } = this.#format;
    const perBlock = blockWeights / groupWeights;
    for (let block = 0; block < out.superScales.length; block++) {
      const [start, end] = [block * blockWeights, (block + 1) * blockWeights];
      for (let group = block * perBlock; group < (block + 1) * perBlock; group++) {
        const [first, last] = [group * groupWeights, (group + 1) * groupWeights];
        if (scaleMin < scaleMax) {
          for (let j = first; j < last; j++) this.#direction[j] = out.superScales[block]! * levels[out.codes[j]!]!;
          out.scales[group]! += this.#stepWhole(first, last, out.scales[group]!, scaleMin, scaleMax);
        }
        if (minMax > 1) {
          this.#direction.fill(-out.superMins[block]!, first, last);
          out.mins[group]! += this.#stepWhole(first, last, out.mins[group]!, 0, minMax);
        }
      }
      for (let j = start; j < end; j++) {
        this.#direction[j] = out.scales[Math.floor(j / groupWeights)]! * levels[out.codes[j]!]!;
      }
      out.superScales[block] = this.#stepHalf(start, end, out.superScales[block]!);
      if (minMax === 0) continue;
      for (let j = start; j < end; j++) this.#direction[j] = -out.mins[Math.floor(j / groupWeights)]!;
      out.superMins[block] = this.#stepHalf(start, end, out.superMins[block]!);
    }
  }

  /** The best whole number of steps along the direction, taken; 0 when none helps. */
  #stepWhole(start: number, end: number, value: number, lowest: number, highest: number): number {
    const { slope, curvature } = this.#line(start, end);
    if (!(curvature > 0)) return 0;
    const wanted = Math.min(highest, Math.max(lowest, Math.round(value + slope / curvature)));
    const step = wanted - value;
    if (!(step * (step * curvature - 2 * slope) < 0)) return 0;
    this.#moveAlong(start, end, step);
    return step;
  }

  /** The float16 nearest to the best value along the direction, where it is better than the present one. */
  #stepHalf(start: number, end: number, value: number): number {
    const { slope, curvature } = this.#line(start, end);
    if (!(curvature > 0)) return value;
    const wanted = nearestFloat16(value + slope / curvature);
    const step = wanted - value;
    if (!(step * (step * curvature - 2 * slope) < 0)) return value;
    this.#moveAlong(start, end, step);
    return wanted;
  }

  /** Of the loss along the direction: loss(s) = loss − 2 s slope + s² curvature. */
  #line(start: number, end: number): { slope: number; curvature: number } {
    const { hessian, columns } = this.#problem;
    let [slope, curvature] = [0, 0];
    for (let j = start; j < end; j++) {
      slope += this.#direction[j]! * this.#gradient[j]!;
      let product = 0;
      for (let i = start; i < end; i++) product += hessian[j * columns + i]! * this.#direction[i]!;
      curvature += this.#direction[j]! * product;
    }
    return { slope, curvature };
  }

  #moveAlong(start: number, end: number, step: number): void {
    for (let j = start; j < end; j++) if (this.#direction[j] !== 0) this.#move(j, step * this.#direction[j]!);
  }
}
