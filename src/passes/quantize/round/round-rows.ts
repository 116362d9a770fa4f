// Rounds rows to a type in the best of the ways there are: error feedback with descent, and descent from where ggml's own
// encoder ends. Each row keeps whichever lies nearer, so that no row is ever worse than ggml's, whatever the type and effort.
import { type GgmlType, rowSizeBytes } from "../../../formats/gguf/ggml-types.js";
import type { GgmlLibrary } from "../../../native/engine.js";
import { dequantize, quantizeRows } from "../../../native/ggml.js";
import { nearestFloat16 } from "../../../support/float16.js";
import { type CodebookFormat, codebookFormat } from "./codebook/codebook-format.js";
import { CodebookKernel } from "./codebook/codebook-kernel.js";
import type { Effort, RoundingSolution } from "./problem.js";
import type { RoundingKernel } from "./rounding-kernel.js";
import { type RowsState, type ScalarFormat, packRows, scalarFormat, unpackRows } from "./scalar-format.js";

/** Rows of one matrix, and what they should become. */
export interface RowsToRound {
  type: GgmlType;
  /** Targets [columns × rows]. */
  weights: Float32Array;
  rows: number;
  columns: number;
  /** Mean x² per column, for ggml's own encoder. */
  importance: Float32Array;
  effort: Effort;
}

/** True for the types that there is a solver for. */
export function isSolvable(type: GgmlType): boolean {
  return scalarFormat(type) !== undefined || codebookFormat(type) !== undefined;
}

/**
 * Rounds rows under the kernel's present Hessian; to a type without a solver as ggml does.
 *
 * @throws {RangeError} when a row is not a whole number of the type's blocks
 * @throws {PareError} when memory is short
 */
export function roundRows(ggml: GgmlLibrary, kernel: RoundingKernel, work: RowsToRound): RoundingSolution {
  const format = scalarFormat(work.type);
  if (format) return roundScalarRows(ggml, kernel, format, work);
  const codebook = codebookFormat(work.type);
  if (codebook) return roundCodebookRows(ggml, kernel, codebook, work);
  return roundAsGgml(ggml, kernel, work);
}

function roundAsGgml(
  ggml: GgmlLibrary,
  kernel: RoundingKernel,
  { type, weights, rows, columns, importance }: RowsToRound,
): RoundingSolution {
  const bytes = quantizeRows(ggml, type, weights, columns, importance);
  const values = dequantize(ggml, type, bytes, rows * columns);
  const errors = weights.map((weight, at) => weight - values[at]!);
  return { bytes, losses: kernel.powers(errors, rows) };
}

/** ggml's rounding is only compared with: that takes half of the solver's time, or all of it, after seconds of building tables, once. */
function roundCodebookRows(
  ggml: GgmlLibrary,
  kernel: RoundingKernel,
  format: CodebookFormat,
  work: RowsToRound,
): RoundingSolution {
  const { type, weights, rows, columns, effort } = work;
  const solution = CodebookKernel.beside(kernel).round(ggml, format, weights, rows, effort);
  return keepBetterRows(solution, roundAsGgml(ggml, kernel, work), rowSizeBytes(type, columns));
}

function roundScalarRows(
  ggml: GgmlLibrary,
  kernel: RoundingKernel,
  format: ScalarFormat,
  { type, weights, rows, columns, importance, effort }: RowsToRound,
): RoundingSolution {
  const fed = kernel.round(format, weights, rows, effort);
  const solution = { bytes: packRows(format, fed.state, rows, columns), losses: fed.losses };
  // But for high effort ggml's rounding is only compared, as descent from there ends better for few rows and takes as long again.
  const own = finite(unpackRows(format, quantizeRows(ggml, type, weights, columns, importance), rows, columns));
  const descended = kernel.round(format, weights, rows, effort === "high" ? "high" : "fast", own);
  const other = { bytes: packRows(format, descended.state, rows, columns), losses: descended.losses };
  return keepBetterRows(solution, other, rowSizeBytes(type, columns));
}

/** ggml stores infinity, or no number, where weights are beyond what a type can hold: the largest there is, or zero. */
function finite(state: RowsState): RowsState {
  for (const halves of [state.superScales, state.superMins]) {
    for (let i = 0; i < halves.length; i++) halves[i] = nearestFloat16(halves[i]! || 0);
  }
  return state;
}

/** Row by row the solution with the smaller loss, gathered in the first. */
export function keepBetterRows(first: RoundingSolution, second: RoundingSolution, rowBytes: number): RoundingSolution {
  second.losses.forEach((loss, row) => {
    if (!(loss < first.losses[row]!)) return;
    first.losses[row] = loss;
    first.bytes.set(second.bytes.subarray(row * rowBytes, (row + 1) * rowBytes), row * rowBytes);
  });
  return first;
}
