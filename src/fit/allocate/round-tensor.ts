// Rounds a whole tensor in slabs of rows, so that all workers have something to do and none has too much at once.
import { PareError, messageOf } from "../../errors.js";
import { type GgmlType, rowSizeBytes } from "../../formats/gguf/ggml-types.js";
import { rowCount } from "../../model/model.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import type { RoundingPool } from "../../passes/quantize/round/rounding-pool.js";
import { LazyInputs, type RoundingInputs } from "./rounding-input.js";

/** Weights of one slab: few enough that workers end together. */
const SLAB_WEIGHTS = 2 ** 18;
/** Slabs under way for each worker where inputs are made on the way: the next lies ready, and memory holds few inputs. */
const LAZY_SLABS = 2;
/** Slabs under way at most, unless there are many workers: each is a copy of its rows. */
const SLABS_MAX = 32;

/** A tensor and what its rows multiply: an input for each matrix of a stack. */
export interface TensorToRound {
  name: string;
  shape: readonly number[];
  values: Float32Array;
  inputs: RoundingInputs;
}

/** A rounded tensor. */
export interface RoundedTensor {
  bytes: Uint8Array;
  /** Σ (w − q) H (w − q)ᵀ over its rows, w being the targets. */
  loss: number;
  /** Σ w H wᵀ. */
  power: number;
}

/**
 * Rounds all rows to one type.
 *
 * @throws {PareError} that names the tensor: a weight or a Hessian that holds no number, a worker that stopped
 */
export async function roundTensor(
  pool: RoundingPool,
  tensor: TensorToRound,
  type: GgmlType,
  effort: Effort,
): Promise<RoundedTensor> {
  const columns = tensor.shape[0]!;
  const rowsPerMatrix = tensor.shape[1] ?? 1;
  const rows = rowCount(tensor.shape);
  const rowBytes = rowSizeBytes(type, columns);
  const bytes = new Uint8Array(rows * rowBytes);
  const step = Math.max(4, Math.floor(SLAB_WEIGHTS / columns) & ~3);
  const slabs = slabsOf(rows, rowsPerMatrix, step);
  const losses = new Float64Array(slabs.length);
  const slabPowers = new Float64Array(slabs.length);
  const roundSlab = async (slab: number, [start, end]: Slab): Promise<void> => {
    const task = {
      input: tensor.inputs.at(Math.floor(start / rowsPerMatrix)) ?? tensor.inputs.at(0)!,
      weights: tensor.values.slice(start * columns, end * columns),
      rows: end - start,
      types: [type],
      effort,
    };
    const { solutions, powers } = await pool.round(task);
    bytes.set(solutions[0]!.bytes, start * rowBytes);
    losses[slab] = sum(solutions[0]!.losses);
    slabPowers[slab] = sum(powers);
  };
  const atOnce =
    tensor.inputs instanceof LazyInputs ? LAZY_SLABS * pool.threads : Math.max(SLABS_MAX, LAZY_SLABS * pool.threads);
  const left = slabs.entries();
  const work = Array.from({ length: Math.min(atOnce, slabs.length) }, async () => {
    for (const [slab, rowsOfSlab] of left) await roundSlab(slab, rowsOfSlab);
  });
  await named(tensor, [type], Promise.all(work));
  return { bytes, loss: sum(losses), power: sum(slabPowers) }; // added in order, whichever worker was first
}

type Slab = [start: number, end: number];

/** Rows from and to, none across two matrices. */
function slabsOf(rows: number, rowsPerMatrix: number, step: number): Slab[] {
  const slabs: Slab[] = [];
  for (let start = 0; start < rows;) {
    const matrixEnd = (Math.floor(start / rowsPerMatrix) + 1) * rowsPerMatrix;
    const end = Math.min(start + step, matrixEnd);
    slabs.push([start, end]);
    start = end;
  }
  return slabs;
}

/** Says which tensor it is when its rounding fails. */
async function named<Result>(
  tensor: TensorToRound,
  types: readonly GgmlType[],
  work: Promise<Result>,
): Promise<Result> {
  try {
    return await work;
  } catch (cause) {
    const hint = cause instanceof PareError ? cause.hint : undefined;
    throw new PareError(`Cannot round "${tensor.name}" to ${types.join(" or ")}: ${messageOf(cause)}`, {
      cause,
      ...(hint !== undefined && { hint }),
    });
  }
}

/**
 * The relative layer error Σ (w − q) H (w − q)ᵀ ÷ Σ w H wᵀ that each type leaves, from a sample of rows.
 *
 * @param rowsMax rows that are rounded
 * @throws {PareError} that names the tensor
 */
export async function sampleErrors(
  pool: RoundingPool,
  tensor: TensorToRound,
  types: readonly GgmlType[],
  rowsMax: number,
  effort: Effort,
): Promise<Map<GgmlType, number>> {
  const columns = tensor.shape[0]!;
  const matrices = Math.min(tensor.inputs.length, MATRICES_SAMPLED);
  const rowsPerMatrix = tensor.shape[1] ?? 1;
  const perMatrix = Math.min(rowsPerMatrix, Math.max(4, Math.ceil(rowsMax / matrices)));
  const work = Array.from({ length: matrices }, async (_, i) => {
    const matrix = Math.floor((i * tensor.inputs.length) / matrices);
    const weights = new Float32Array(perMatrix * columns);
    for (let row = 0; row < perMatrix; row++) {
      const source = matrix * rowsPerMatrix + Math.floor(((row + 0.5) * rowsPerMatrix) / perMatrix);
      weights.set(tensor.values.subarray(source * columns, (source + 1) * columns), row * columns);
    }
    return pool.round({ input: tensor.inputs.at(matrix)!, weights, rows: perMatrix, types, effort });
  });
  const rounded = await named(tensor, types, Promise.all(work));
  const power = sum(rounded.map(({ powers }) => sum(powers)));
  const losses = types.map((_, type) => sum(rounded.map(({ solutions }) => sum(solutions[type]!.losses))));
  return new Map(types.map((type, i) => [type, power > 0 ? losses[i]! / power : 0]));
}

/** Experts of a stack that are looked at. */
const MATRICES_SAMPLED = 4;

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
