// The WebAssembly kernel that rounds rows (sources in kernels/assembly): one instance with memory of its own, for one
// thread. `solve-scalar.ts` and `ldl.ts` are its twins in plain TypeScript.
import { PareError } from "../../../errors.js";
import { unfactorable } from "./ldl.js";
import { loadKernel } from "../../../support/load-kernel.js";
import { type RowsState, type ScalarFormat, emptyRows } from "./scalar-format.js";
import { ROUNDS, type ScalarSolution } from "./solve-scalar.js";
import { usableLevels } from "./usable-levels.js";
import type { Effort, LdlFactor } from "./problem.js";

/** Rows that the kernel rounds side by side. */
const TILE = 4;

interface KernelExports {
  memory: WebAssembly.Memory;
  allocate(bytes: number): number;
  mark(): number;
  release(to: number): void;
  levelsAddress(): number;
  setFormat(block: number, group: number, low: number, high: number, minMax: number, levels: number): void;
  workBytes(columns: number): number;
  setProblem(columns: number, hessian: number, upper: number, diagonal: number, work: number): void;
  factorize(columns: number, hessian: number, upper: number, diagonal: number, work: number): number;
  retargetTile(
    rows: number,
    columns: number,
    drift: number,
    upper: number,
    diagonal: number,
    share: number,
    work: number,
  ): void;
  powersTile(rows: number, out: number): void;
  roundTile(
    weights: number,
    rounds: number,
    feedback: number,
    codes: number,
    superScales: number,
    superMins: number,
    scales: number,
    mins: number,
    losses: number,
  ): void;
}

/** A kernel, ready for the matrices of one Hessian after another. */
export class RoundingKernel {
  readonly #exports: KernelExports;
  readonly #start: number;
  #columns = 0;
  #problemEnd = 0;
  #hessian = 0;
  #upper = 0;
  #diagonal = 0;

  private constructor(exports: KernelExports) {
    this.#exports = exports;
    this.#start = exports.mark();
  }

  static load(): RoundingKernel {
    const abort = () => {
      throw new PareError("The rounding kernel stopped");
    };
    return new RoundingKernel(loadKernel<KernelExports>("round", { abort }));
  }

  /**
   * Takes the Hessian that the next matrices share, and factorizes it.
   *
   * @param hessian [columns × columns], damped
   * @throws {PareError} when it is not positive definite or holds what is no finite number, or memory is short
   */
  setHessian(hessian: Float32Array, columns: number): void {
    const kernel = this.#exports;
    kernel.release(this.#start);
    const square = 4 * columns * columns;
    this.#hessian = this.#allocate(square);
    this.#upper = this.#allocate(square);
    this.#diagonal = this.#allocate(4 * columns);
    const work = this.#allocate(kernel.workBytes(columns));
    this.#problemEnd = kernel.mark();
    new Float32Array(kernel.memory.buffer, this.#hessian, columns * columns).set(hessian);
    const scratch = this.#allocate(square);
    const bad = kernel.factorize(columns, this.#hessian, this.#upper, this.#diagonal, scratch);
    if (bad >= 0) throw unfactorable(hessian, columns, bad);
    kernel.setProblem(columns, this.#hessian, this.#upper, this.#diagonal, work);
    kernel.release(this.#problemEnd);
    this.#columns = columns;
  }

  get memory(): WebAssembly.Memory {
    return this.#exports.memory;
  }

  /** Columns of the present Hessian. */
  get columns(): number {
    return this.#columns;
  }

  /**
   * Room in the memory until the next call, and where the present Hessian and its factor lie, for another kernel.
   *
   * @throws {PareError} when memory is short
   */
  lend(bytes: number): { start: number; hessian: number; upper: number; diagonal: number } {
    this.#exports.release(this.#problemEnd);
    const start = this.#allocate(bytes);
    return { start, hessian: this.#hessian, upper: this.#upper, diagonal: this.#diagonal };
  }

  /** The factor of the present Hessian, copied out. */
  get factor(): LdlFactor {
    const { buffer } = this.#exports.memory;
    const columns = this.#columns;
    return {
      columns,
      upper: new Float32Array(buffer, this.#upper, columns * columns).slice(),
      diagonal: new Float32Array(buffer, this.#diagonal, columns).slice(),
    };
  }

  /**
   * Moves rows to where they should go when their inputs have drifted, in place; see `retarget`.
   *
   * @param drift of `driftOf`, under the present Hessian undamped
   */
  retarget(rows: Float32Array, drift: Float32Array, share: number): void {
    const kernel = this.#exports;
    const columns = this.#columns;
    kernel.release(this.#problemEnd);
    const matrix = this.#allocate(4 * columns * columns);
    const tile = this.#allocate(TILE * columns * 4);
    const work = this.#allocate(TILE * columns * 4);
    new Float32Array(kernel.memory.buffer, matrix, columns * columns).set(drift);
    const values = new Float32Array(kernel.memory.buffer, tile, TILE * columns);
    for (let start = 0; start < rows.length; start += values.length) {
      const part = rows.subarray(start, start + values.length);
      values.fill(0);
      values.set(part);
      kernel.retargetTile(tile, columns, matrix, this.#upper, this.#diagonal, share, work);
      part.set(values.subarray(0, part.length));
    }
  }

  /** w H wᵀ of each row under the present Hessian. */
  powers(weights: Float32Array, rows: number): Float64Array {
    const kernel = this.#exports;
    const columns = this.#columns;
    kernel.release(this.#problemEnd);
    const tile = this.#allocate(TILE * columns * 4);
    const out = this.#allocate(TILE * 4);
    const values = new Float32Array(kernel.memory.buffer, tile, TILE * columns);
    const found = new Float32Array(kernel.memory.buffer, out, TILE);
    const powers = new Float64Array(rows);
    for (let row = 0; row < rows; row += TILE) {
      values.fill(0);
      values.set(weights.subarray(row * columns, Math.min(rows, row + TILE) * columns));
      kernel.powersTile(tile, out);
      powers.set(found.subarray(0, Math.min(TILE, rows - row)), row);
    }
    return powers;
  }

  /**
   * Rounds rows under the present Hessian.
   *
   * @param weights [columns × rows] targets
   * @param from codes and scales to descend from, without feedback
   */
  round(format: ScalarFormat, weights: Float32Array, rows: number, effort: Effort, from?: RowsState): ScalarSolution {
    const kernel = this.#exports;
    const columns = this.#columns;
    kernel.release(this.#problemEnd);
    const blocks = columns / format.blockWeights;
    const groups = columns / format.groupWeights;
    const at = {
      weights: this.#allocate(TILE * columns * 4),
      codes: this.#allocate(TILE * columns),
      superScales: this.#allocate(TILE * blocks * 4),
      superMins: this.#allocate(TILE * blocks * 4),
      scales: this.#allocate(TILE * groups * 2),
      mins: this.#allocate(TILE * groups),
      losses: this.#allocate(TILE * 4),
    };
    const { buffer } = kernel.memory; // only now: allocation may move it
    const hasMins = format.minMax > 0;
    const tile = {
      weights: new Float32Array(buffer, at.weights, TILE * columns),
      codes: new Uint8Array(buffer, at.codes, TILE * columns),
      superScales: new Float32Array(buffer, at.superScales, TILE * blocks),
      superMins: new Float32Array(buffer, at.superMins, hasMins ? TILE * blocks : 0),
      scales: new Int16Array(buffer, at.scales, TILE * groups),
      mins: new Uint8Array(buffer, at.mins, hasMins ? TILE * groups : 0),
      losses: new Float32Array(buffer, at.losses, TILE),
    };
    const { levels, skipped } = usableLevels(format);
    new Float32Array(buffer, kernel.levelsAddress(), levels.length).set(levels);
    kernel.setFormat(
      format.blockWeights,
      format.groupWeights,
      format.scaleMin,
      format.scaleMax,
      format.minMax,
      levels.length,
    );
    const state = emptyRows(format, rows, columns);
    const losses = new Float64Array(rows);
    if (skipped > 0 && from) from = { ...from, codes: from.codes.map((code) => Math.max(0, code - skipped)) };
    for (let row = 0; row < rows; row += TILE) {
      const count = Math.min(TILE, rows - row);
      for (const field of STATE_FIELDS) {
        const [target, perRow] = [tile[field], tile[field].length / TILE];
        target.fill(0);
        if (from) target.set(from[field].subarray(row * perRow, (row + count) * perRow));
      }
      tile.weights.fill(0);
      tile.weights.set(weights.subarray(row * columns, (row + count) * columns));
      // A plain type's whole numbers are ones and not fitted.
      if (!from && format.scaleMin === format.scaleMax) tile.scales.fill(format.scaleMin);
      kernel.roundTile(
        at.weights,
        ROUNDS[effort],
        from ? 0 : 1,
        at.codes,
        at.superScales,
        at.superMins,
        at.scales,
        at.mins,
        at.losses,
      );
      for (const field of STATE_FIELDS) {
        const perRow = tile[field].length / TILE;
        state[field].set(tile[field].subarray(0, count * perRow), row * perRow);
      }
      losses.set(tile.losses.subarray(0, count), row);
    }
    if (skipped > 0) for (let i = 0; i < state.codes.length; i++) state.codes[i]! += skipped;
    return { state, losses };
  }

  #allocate(bytes: number): number {
    const at = this.#exports.allocate(bytes);
    if (at === 0) throw new PareError(`The rounding kernel has no memory for ${bytes} bytes`);
    return at;
  }
}

const STATE_FIELDS = ["codes", "superScales", "superMins", "scales", "mins"] as const;
