// From sums over calibration tokens to what a rounding is given: means, damping, and the drift of the inputs.
import { type SumsOfSquares, inputMeans } from "../../calibrate/input-means.js";
import { driftOf } from "../../passes/quantize/round/retarget.js";
import type { RoundingInput } from "../../passes/quantize/round/rounding-pool.js";

/** Added to the diagonal, as a share of its mean: keeps the factor well conditioned, and targets near where data are few. */
export const DAMPING = 0.01;

/**
 * The same for an output matrix that is the token embedding, too. Its rows also enter the model as they are, where an error
 * counts the same in every column: an identity beside the output's Hessian. Both count by how frequent a row's token is,
 * so one share serves all rows.
 */
export const TIED_DAMPING = 1;

const EMBEDDING = "token_embd.weight";

/** An input for each matrix of a stack; where there is one alone, it serves all matrices. */
export type RoundingInputs = readonly RoundingInput[] | LazyInputs;

/** Inputs that are made as they are asked for: those of all experts of a layer may be more than memory holds. */
export class LazyInputs {
  readonly length: number;
  readonly #make: (matrix: number) => RoundingInput;
  #last: { matrix: number; input: RoundingInput } | undefined;

  /** @param make gives the same key whenever it makes the same matrix's */
  constructor(length: number, make: (matrix: number) => RoundingInput) {
    this.length = length;
    this.#make = make;
  }

  /** The last one is kept, so that it is made once where matrices are taken in order. */
  at(matrix: number): RoundingInput | undefined {
    if (matrix >= this.length) return undefined;
    if (this.#last?.matrix !== matrix) this.#last = { matrix, input: this.#make(matrix) };
    return this.#last.input;
  }
}

let made = 0;

type NamedSums = SumsOfSquares & { readonly name: string; readonly weights: readonly string[] };

/**
 * What rows that read one input are rounded with, for each matrix of a stack. Arrays lie in shared memory, so that workers
 * read them in place.
 *
 * @param driftShare how far targets follow a drift; 0 leaves them
 * @param matrices which of the stack; all by default
 */
export function roundingInputs(
  statistics: NamedSums,
  driftShare: number,
  matrices?: readonly number[],
): RoundingInput[] {
  if (sawNothing(statistics)) return [plainInput(statistics.columns)];
  const chosen = matrices ?? Array.from({ length: statistics.matrices }, (_, matrix) => matrix);
  return chosen.map(inputMaker(statistics, driftShare));
}

/** The same of sums that stay where they are, one matrix at a time. */
export function lazyInputs(statistics: NamedSums): RoundingInputs {
  if (sawNothing(statistics)) return [plainInput(statistics.columns)];
  return new LazyInputs(statistics.matrices, inputMaker(statistics, 0));
}

/**
 * The same where only mean squares are known: diagonal Hessians.
 *
 * @param name of the weight
 * @param means [columns × matrices] mean x² per column, as llama.cpp's quantizer takes them
 */
export function diagonalInputs(name: string, means: Float32Array, columns: number): LazyInputs {
  const stamp = made++;
  return new LazyInputs(means.length / columns, (matrix) => {
    const importance = means.slice(matrix * columns, (matrix + 1) * columns);
    const hessian = sharedFloats(columns * columns).fill(0);
    for (let i = 0; i < columns; i++) hessian[i * columns + i] = importance[i]!;
    damp(hessian, columns, [name]);
    return { key: `${name}/${matrix}/${stamp}`, columns, hessian, importance };
  });
}

/** For rows that nothing is known of, or that are looked up instead of multiplied: every column counts the same. */
export function plainInput(columns: number): RoundingInput {
  const hessian = sharedFloats(columns * columns).fill(0);
  for (let i = 0; i < columns; i++) hessian[i * columns + i] = 1;
  return { key: `plain/${columns}`, columns, hessian, importance: new Float32Array(columns).fill(1) };
}

function sawNothing({ counts }: NamedSums): boolean {
  return counts.every((count) => count === 0);
}

function inputMaker(statistics: NamedSums, driftShare: number): (matrix: number) => RoundingInput {
  const { columns, name, weights } = statistics;
  const means = inputMeans(statistics);
  const stamp = made++;
  return (matrix) => {
    const hessian = means.hessian(matrix, sharedFloats(columns * columns));
    const importance = Float32Array.from({ length: columns }, (_, i) => hessian[i * columns + i]!);
    const cross = driftShare > 0 && statistics.cross ? means.cross(matrix, sharedFloats(columns * columns)) : undefined;
    const drift = cross && driftOf(cross, hessian, columns, sharedFloats(columns * columns));
    if (cross) reuse(cross);
    damp(hessian, columns, weights);
    return { key: `${name}/${matrix}/${stamp}`, columns, hessian, importance, drift, driftShare };
  };
}

/**
 * The share of the mean square that is added.
 *
 * @param weights all that are multiplied with the input
 */
export function dampingOf(weights: readonly string[]): number {
  return weights.includes(EMBEDDING) ? TIED_DAMPING : DAMPING;
}

function damp(hessian: Float32Array, columns: number, weights: readonly string[]): void {
  const share = dampingOf(weights);
  let trace = 0;
  for (let i = 0; i < columns; i++) trace += hessian[i * columns + i]!;
  const added = trace > 0 ? (share * trace) / columns : 1; // a layer that saw nothing is rounded plainly
  for (let i = 0; i < columns; i++) hessian[i * columns + i]! += added;
}

/**
 * Takes back the memory of inputs that nothing is rounded with any more: they must not be used again. Shared matrices are
 * large, and the garbage collector would let those of many layers pile up.
 */
export function releaseInputs(inputs: Iterable<RoundingInput>): void {
  for (const { hessian, drift } of inputs) {
    reuse(hessian);
    if (drift) reuse(drift);
  }
}

/** Gives what was taken back to the garbage collector, once no more inputs are to come. */
export function forgetReleased(): void {
  spare.clear();
}

/** Matrices that were taken back, by length. */
const spare = new Map<number, Float32Array[]>();

/** Holds whatever it held before. */
function sharedFloats(length: number): Float32Array {
  const taken = spare.get(length)?.pop();
  return taken ?? (new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT)) as Float32Array);
}

function reuse(matrix: Float32Array): void {
  const { length } = matrix;
  spare.set(length, [...(spare.get(length) ?? []), matrix]);
}
