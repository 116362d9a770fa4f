// Finished statistics of a model's inputs, out of a file: full Hessians, or the mean squares of an importance file as their
// diagonals. One input is read at a time, so memory does not grow with the model's depth.
import { type StatisticsKind, statisticsKind } from "../../calibrate/finished-statistics.js";
import { HessianFile } from "../../calibrate/hessian-file.js";
import { type Importance, meanSquares } from "../../calibrate/importance.js";
import { readImportance } from "../../calibrate/read-imatrix.js";
import { FormatError, PareError } from "../../errors.js";
import type { LazyTensor } from "../../model/model.js";
import { layerOf } from "../../passes/quantize/tensor-role.js";
import type { WatchedInput } from "./rank-watch.js";
import { type RoundingInputs, diagonalInputs, lazyInputs, plainInput } from "./rounding-input.js";

/** An input as the file lists it. */
export interface FinishedInput {
  /** All weights that read it. */
  readonly weights: readonly string[];
  readonly columns: number;
  readonly matrices: number;
}

/** A tensor's rounding inputs, and what they were made of where the file has something on it. */
export interface TensorInputs {
  name: string;
  inputs: RoundingInputs;
  watched?: WatchedInput;
}

/** An open file of finished statistics. */
export interface FinishedInputs extends AsyncDisposable {
  readonly path: string;
  readonly kind: StatisticsKind;
  readonly inputs: readonly FinishedInput[];
  /**
   * What rows that read an input are rounded with, for each matrix of a stack, and how many rows each saw: one count for all
   * where no router picks.
   *
   * @param columns row length in the model; importance files keep a stack that no router picks from as one long row
   */
  read(input: FinishedInput, columns: number): Promise<Pick<TensorInputs, "inputs"> & { counts: Float32Array }>;
}

/**
 * Opens a file of Hessians or of importance.
 *
 * @throws {FormatError} when it is neither, or what its header lists is not there
 */
export async function openFinishedInputs(
  path: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<FinishedInputs> {
  const kind = await statisticsKind(path, options);
  if (kind === "imatrix") return importanceInputs(path, await readImportance(path));
  if (kind === undefined) throw new FormatError(path, `Cannot calibrate with "${path}": it holds no statistics`);
  const file = await HessianFile.open(path);
  try {
    return hessianInputs(path, file);
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Refuses statistics of another model.
 *
 * @throws {PareError} naming a weight that the model lacks, or has in another size
 */
export function requireSameModel(
  { path, kind, inputs }: Pick<FinishedInputs, "path" | "kind" | "inputs">,
  tensors: ReadonlyMap<string, Pick<LazyTensor, "shape">>,
): void {
  for (const { weights, columns, matrices } of inputs) {
    for (const name of weights) {
      const shape = tensors.get(name)?.shape;
      if (!shape) throw otherModel(path, `they have "${name}", which the model lacks`);
      const [width, , stacked = 1] = shape;
      if (width === columns && (matrices === 1 || matrices === stacked)) continue;
      if (kind === "imatrix" && matrices === 1 && columns === width! * stacked) continue;
      const found = `${matrices === 1 ? "" : `${matrices} times `}${columns} columns of "${name}"`;
      throw otherModel(path, `they have ${found}, the model has ${stacked === 1 ? "" : `${stacked} times `}${width}`);
    }
  }
}

/**
 * Tensors with what to round them by, input after input; at last, plainly, those that the file has nothing on.
 *
 * @param columnsOf row length of a tensor
 */
export async function* tensorInputs(
  finished: FinishedInputs,
  names: Iterable<string>,
  columnsOf: (name: string) => number,
): AsyncGenerator<TensorInputs> {
  const left = new Set(names);
  for (const input of finished.inputs) {
    const wanted = input.weights.filter((name) => left.delete(name));
    if (wanted.length === 0) continue;
    const columns = columnsOf(wanted[0]!);
    const { inputs, counts } = await finished.read(input, columns);
    const first = input.weights[0]!;
    const watched = {
      name: first,
      weights: input.weights,
      layer: layerOf(first),
      columns,
      isRouted: counts.length > 1,
      counts,
    };
    for (const name of wanted) yield { name, inputs, watched };
  }
  for (const name of left) yield { name, inputs: [plainInput(columnsOf(name))] };
}

function hessianInputs(path: string, file: HessianFile): FinishedInputs {
  return {
    path,
    kind: "hessian",
    inputs: file.shapes,
    async read({ weights, columns, matrices }) {
      const name = weights[0]!;
      const { matrix, counts } = (await file.read(name))!;
      // Experts are counted apart, and those that saw little are drawn to their mean; heads all see the same rows.
      const isRouted = counts.length > 1;
      const each = Float64Array.from({ length: matrices }, (_, i) => counts[isRouted ? i : 0]!);
      const sums = { name, weights, columns, matrices, isRouted, hessian: matrix, cross: undefined };
      return { inputs: lazyInputs({ ...sums, counts: each }), counts };
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

function importanceInputs(path: string, { entries }: Importance): FinishedInputs {
  return {
    path,
    kind: "imatrix",
    inputs: [...entries].map(([name, { columns, matrices }]) => ({ weights: [name], columns, matrices })),
    async read({ weights }, columns) {
      const entry = entries.get(weights[0]!)!;
      return { inputs: diagonalInputs(weights[0]!, meanSquares(entry), columns), counts: entry.counts };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function otherModel(path: string, difference: string): PareError {
  return new PareError(`The statistics "${path}" are of another model: ${difference}`, {
    hint: "Calibrate on this very model: pare calibrate MODEL TEXT -o imatrix.gguf --hessians FILE.gguf",
  });
}
