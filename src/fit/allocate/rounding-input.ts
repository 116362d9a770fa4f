// From sums over calibration tokens to what a rounding is given: means, damping, and the drift of the inputs.
import type { InputStatistics } from "../../calibrate/paired-sums.js";
import { driftOf } from "../../passes/quantize/round/retarget.js";
import type { RoundingInput } from "../../passes/quantize/round/rounding-pool.js";

/** Added to the diagonal, as a share of its mean: keeps the factor well conditioned, and targets near where data are few. */
export const DAMPING = 0.01;

let made = 0;

/**
 * What rows that read one input are rounded with. Arrays lie in shared memory, so that workers read them in place.
 *
 * @param matrix which of a stacked weight's
 * @param driftShare how far targets follow a drift; 0 leaves them
 */
export function roundingInput(statistics: InputStatistics, matrix: number, driftShare: number): RoundingInput {
  const { columns, name } = statistics;
  const size = columns * columns;
  const scale = 1 / Math.max(1, statistics.counts[matrix]!);
  const hessian = scaled(statistics.hessian.subarray(matrix * size, (matrix + 1) * size), scale);
  const importance = Float32Array.from({ length: columns }, (_, i) => hessian[i * columns + i]!);
  const cross = statistics.cross?.subarray(matrix * size, (matrix + 1) * size);
  const drift = cross && driftShare > 0 ? shared(driftOf(scaled(cross, scale), hessian, columns)) : undefined;
  damp(hessian, columns);
  return { key: `${name}/${matrix}/${made++}`, columns, hessian, importance, drift, driftShare };
}

/** For rows that nothing is known of, or that are looked up instead of multiplied: every column counts the same. */
export function plainInput(columns: number): RoundingInput {
  const hessian = sharedFloats(columns * columns);
  for (let i = 0; i < columns; i++) hessian[i * columns + i] = 1;
  return { key: `plain/${columns}`, columns, hessian, importance: new Float32Array(columns).fill(1) };
}

function damp(hessian: Float32Array, columns: number): void {
  let trace = 0;
  for (let i = 0; i < columns; i++) trace += hessian[i * columns + i]!;
  const added = trace > 0 ? (DAMPING * trace) / columns : 1; // a layer that saw nothing is rounded plainly
  for (let i = 0; i < columns; i++) hessian[i * columns + i]! += added;
}

function scaled(values: Float32Array, factor: number): Float32Array {
  const out = sharedFloats(values.length);
  for (let i = 0; i < values.length; i++) out[i] = values[i]! * factor;
  return out;
}

function shared(values: Float32Array): Float32Array {
  const out = sharedFloats(values.length);
  out.set(values);
  return out;
}

function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT)) as Float32Array;
}
