// The WebAssembly kernel that rounds rows to types with a codebook (sources in kernels/assembly/codebook). It works in the
// memory of a `RoundingKernel`, on the Hessian that lies there. `solve-codebook-rows.ts` is its twin in plain TypeScript.
import type { GgmlLibrary } from "../../../../native/engine.js";
import type { Effort, RoundingSolution } from "../problem.js";
import { loadKernel } from "../../../../support/load-kernel.js";
import type { RoundingKernel } from "../rounding-kernel.js";
import type { CodebookFormat } from "./codebook-format.js";
import { type CodebookRows, emptyCodebookRows, packCodebookRows } from "./codebook-rows.js";
import { type Codebook, codebookOf } from "./codebook.js";
import { SWEEPS } from "./solve-codebook-rows.js";

/** Halves of codewords that the kernel weighs at a time. */
const LANES = 4;

interface KernelExports {
  slabRows(): number;
  workBytes(columns: number): number;
  setBook(
    codeLength: number,
    groupWeights: number,
    isSignCountEven: number,
    halves: number,
    firsts: number,
    runs: number,
    seconds: number,
    codes: number,
    magnitudes: number,
    rms: number,
    largest: number,
  ): void;
  setProblem(columns: number, hessian: number, upper: number, diagonal: number, work: number): void;
  prepareForms(): void;
  roundSlab(
    rows: number,
    sweeps: number,
    weights: number,
    codes: number,
    signs: number,
    scales: number,
    superScales: number,
    losses: number,
  ): void;
}

const kernels = new WeakMap<RoundingKernel, CodebookKernel>();

/** A kernel beside another one, which is told of Hessians. */
export class CodebookKernel {
  readonly #owner: RoundingKernel;
  readonly #exports: KernelExports;

  private constructor(owner: RoundingKernel, exports: KernelExports) {
    this.#owner = owner;
    this.#exports = exports;
  }

  /** The one that works with the memory and the Hessians of another kernel; loaded when first asked for. */
  static beside(owner: RoundingKernel): CodebookKernel {
    let known = kernels.get(owner);
    if (!known) {
      known = new CodebookKernel(owner, loadKernel<KernelExports>("codebook", { memory: owner.memory }));
      kernels.set(owner, known);
    }
    return known;
  }

  /**
   * Rounds rows under the owner's present Hessian.
   *
   * @param weights [columns × rows] targets
   * @throws {RangeError} when a row is not a whole number of the type's blocks
   * @throws {PareError} when memory is short
   */
  round(
    ggml: GgmlLibrary,
    format: CodebookFormat,
    weights: Float32Array,
    rows: number,
    effort: Effort,
  ): RoundingSolution {
    const kernel = this.#exports;
    const { columns } = this.#owner;
    const state = emptyCodebookRows(format, rows, columns);
    const losses = new Float64Array(rows);
    const slabRows = kernel.slabRows();
    const slab = emptyCodebookRows(format, slabRows, columns);
    const tables = tablesOf(codebookOf(ggml, format));
    const room = new Room();
    const at = {
      work: room.take(kernel.workBytes(columns)),
      weights: room.take(slabRows * columns * 4),
      codes: room.take(slab.codes.byteLength),
      signs: room.take(slab.signs.byteLength),
      scales: room.take(slab.scales.byteLength),
      superScales: room.take(slab.superScales.byteLength),
      losses: room.take(slabRows * 4),
      firsts: room.take(tables.firsts.byteLength),
      runs: room.take(tables.runs.byteLength),
      seconds: room.take(tables.seconds.byteLength),
      bookCodes: room.take(tables.codes.byteLength),
      magnitudes: room.take(tables.magnitudes.byteLength),
    };
    const { start, hessian, upper, diagonal } = this.#owner.lend(room.bytes);
    for (const key of Object.keys(at) as (keyof typeof at)[]) at[key] += start;
    const { buffer } = this.#owner.memory; // only now: lending may move it
    new Float32Array(buffer, at.firsts).set(tables.firsts);
    new Uint16Array(buffer, at.runs).set(tables.runs);
    new Float32Array(buffer, at.seconds).set(tables.seconds);
    new Uint16Array(buffer, at.bookCodes).set(tables.codes);
    new Float32Array(buffer, at.magnitudes).set(tables.magnitudes);
    kernel.setBook(
      format.codeLength,
      format.groupWeights,
      format.isSignCountEven ? 1 : 0,
      tables.halves,
      at.firsts,
      at.runs,
      at.seconds,
      at.bookCodes,
      at.magnitudes,
      tables.rms,
      tables.largest,
    );
    kernel.setProblem(columns, hessian, upper, diagonal, at.work);
    kernel.prepareForms();
    const found: CodebookRows = {
      codes: new Uint16Array(buffer, at.codes, slab.codes.length),
      signs: new Uint8Array(buffer, at.signs, slab.signs.length),
      scales: new Uint8Array(buffer, at.scales, slab.scales.length),
      superScales: new Float32Array(buffer, at.superScales, slab.superScales.length),
    };
    for (let row = 0; row < rows; row += slabRows) {
      const count = Math.min(slabRows, rows - row);
      new Float32Array(buffer, at.weights).set(weights.subarray(row * columns, (row + count) * columns));
      kernel.roundSlab(count, SWEEPS[effort], at.weights, at.codes, at.signs, at.scales, at.superScales, at.losses);
      for (const field of STATE_FIELDS) {
        const perRow = found[field].length / slabRows;
        state[field].set(found[field].subarray(0, count * perRow), row * perRow);
      }
      losses.set(new Float32Array(buffer, at.losses, count), row);
    }
    return { bytes: packCodebookRows(format, state), losses };
  }
}

const STATE_FIELDS = ["codes", "signs", "scales", "superScales"] as const;

/** Hands out bytes one after the other, each from a multiple of 16 on. */
class Room {
  bytes = 0;

  take(bytes: number): number {
    const at = this.bytes;
    this.bytes += Math.ceil(bytes / 16) * 16;
    return at;
  }
}

/** A codebook as the kernel has it; see kernels/assembly/codebook/book.ts. */
interface KernelTables {
  halves: number;
  firsts: Float32Array;
  runs: Uint16Array;
  seconds: Float32Array;
  codes: Uint16Array;
  magnitudes: Float32Array;
  rms: number;
  largest: number;
}

const tables = new WeakMap<Codebook, KernelTables>();

function tablesOf(book: Codebook): KernelTables {
  let known = tables.get(book);
  if (!known) tables.set(book, (known = arrange(book)));
  return known;
}

function arrange({ format, magnitudes, firsts, seconds, runs, codes }: Codebook): KernelTables {
  const half = format.codeLength / 2;
  const halves = runs.length - 1;
  const positions: number[] = [];
  const starts = [0];
  for (let h = 0; h < halves; h++) {
    positions.push(...paddedRange(runs[h]!, runs[h + 1]!));
    starts.push(positions.length / LANES);
  }
  return {
    halves,
    firsts: inLanes(firsts, half, paddedRange(0, halves)),
    runs: Uint16Array.from(starts),
    seconds: inLanes(seconds, half, positions),
    codes: Uint16Array.from(positions, (position) => codes[position]!),
    magnitudes: Float32Array.from(magnitudes),
    rms: Math.sqrt(magnitudes.reduce((sum, value) => sum + value * value, 0) / magnitudes.length),
    largest: Math.max(...magnitudes),
  };
}

/** The whole numbers from `start` up to `end`, and the last one again until there are whole fours. */
function paddedRange(start: number, end: number): number[] {
  const length = Math.ceil((end - start) / LANES) * LANES;
  return Array.from({ length }, (_, k) => Math.min(start + k, end - 1));
}

/** Fours of halves: the first magnitudes of all four, then the second ones, and so on. */
function inLanes(values: Float64Array, half: number, positions: readonly number[]): Float32Array {
  return Float32Array.from({ length: positions.length * half }, (_, at) => {
    const four = Math.floor(at / (LANES * half));
    const part = Math.floor(at / LANES) % half;
    return values[positions[four * LANES + (at % LANES)]! * half + part]!;
  });
}
