// How fast a model decodes on the machine at hand, before it was run: the time of its matrix products, which depends on type, row
// length and processor and is measured for these alone (native/product-speed.ts), and a time for each layer and each token for
// everything else. How much of each is fitted to models that were measured.
import type { GgmlType } from "../formats/gguf/ggml-types.js";
import { activeShare } from "../model/active.js";
import { kvCacheBytesPerToken, sizeBytesOf } from "../model/memory.js";
import type { Model, TensorShape } from "../model/model.js";
import { median } from "./speed.js";

/** A kind of product whose speed is needed. */
export interface ProductKind {
  type: GgmlType;
  rowLength: number;
  /** Bytes of all weights that a token goes through, to a power of two. */
  weightsBytes: number;
}

/** Seconds per byte of weight, by `productKey`. */
export type ProductSpeeds = ReadonlyMap<string, number>;

/** What a token goes through. */
export interface DecodeWork {
  /** Seconds that its products take on their own. */
  productSeconds: number;
  layers: number;
}

export interface DecodeMeasurement extends DecodeWork {
  decodeTokensPerSecond: number;
}

/** `seconds per token = products · productSeconds + layer · layers + token` */
export interface DecodeModel {
  factors: { products: number; layer: number; token: number };
  measurements: number;
  /** |predicted − measured| / measured of each measurement, predicted from the others alone. Empty with fewer than two. */
  errorShares: number[];
  /** The median of `errorShares`, or null when there is none. */
  medianErrorShare: number | null;
}

const WEIGHTS_BYTES_MAX = 2 ** 26; // beyond the caches of most machines

export function productKey({ type, rowLength, weightsBytes }: ProductKind): string {
  return `${type} ${rowLength} ${weightsBytes}`;
}

/** The kinds of product that a token goes through, each with its bytes. */
export function productsOf({ spec, tensors }: Pick<Model, "spec" | "tensors">): (ProductKind & { bytes: number })[] {
  const layersRun = spec.layers - spec.layersAhead;
  const multiplied = [...tensors.values()].filter(
    ({ name, shape }) =>
      shape.length > 1 &&
      Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? 0) < layersRun &&
      isMultiplied(name, spec.tiedEmbeddings),
  );
  const bytesOf = ({ name, sizeBytes }: TensorShape): number =>
    sizeBytes * activeShare(name, spec.experts, spec.expertsUsed);
  const total = multiplied.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const weightsBytes = Math.min(WEIGHTS_BYTES_MAX, 2 ** Math.round(Math.log2(Math.max(1, total))));
  const kinds = new Map<string, ProductKind & { bytes: number }>();
  for (const tensor of multiplied) {
    const kind = { type: tensor.type, rowLength: tensor.shape[0]!, weightsBytes };
    const known = kinds.get(productKey(kind)) ?? { ...kind, bytes: 0 };
    kinds.set(productKey(kind), { ...known, bytes: known.bytes + bytesOf(tensor) });
  }
  return [...kinds.values()];
}

/**
 * @param tokensBefore tokens of context, whose keys and values are read as weights are
 * @returns undefined where the speed of a product is not known
 */
export function decodeWork(
  model: Pick<Model, "spec" | "tensors">,
  speeds: ProductSpeeds,
  tokensBefore = 0,
): DecodeWork | undefined {
  let seconds = 0;
  for (const kind of productsOf(model)) {
    const speed = speeds.get(productKey(kind));
    if (speed === undefined) return undefined;
    seconds += kind.bytes * speed;
  }
  const cacheShare = (tokensBefore * kvCacheBytesPerToken(model.spec)) / Math.max(1, sizeBytesOf(model));
  return { productSeconds: seconds * (1 + cacheShare), layers: model.spec.layers - model.spec.layersAhead };
}

export function predictDecode(work: DecodeWork, { factors }: DecodeModel): number {
  return 1 / (factors.products * work.productSeconds + factors.layer * work.layers + factors.token);
}

/**
 * Fits the three factors, none below zero, by least squares on the relative error of the seconds per token, and says how well
 * they predict what they were not fitted to.
 *
 * @throws {RangeError} without a measurement, or when one is not positive
 */
export function fitDecodeModel(measurements: readonly DecodeMeasurement[]): DecodeModel {
  if (measurements.length === 0) throw new RangeError("Cannot calibrate without a measurement");
  for (const { productSeconds, decodeTokensPerSecond } of measurements) {
    if (!(productSeconds > 0 && decodeTokensPerSecond > 0)) {
      throw new RangeError(
        `Cannot calibrate from ${productSeconds} seconds of products at ${decodeTokensPerSecond} tokens per second`,
      );
    }
  }
  const errorShares = measurements.length < 2 ? [] : measurements.map((left) => errorWithout(measurements, left));
  return {
    factors: factorsOf(measurements),
    measurements: measurements.length,
    errorShares,
    medianErrorShare: errorShares.length > 0 ? median(errorShares) : null,
  };
}

function errorWithout(all: readonly DecodeMeasurement[], left: DecodeMeasurement): number {
  const factors = factorsOf(all.filter((one) => one !== left));
  const predicted = predictDecode(left, { factors, measurements: 0, errorShares: [], medianErrorShare: null });
  return Math.abs(predicted - left.decodeTokensPerSecond) / left.decodeTokensPerSecond;
}

/** Of all sets of factors that may be above zero, the least squares of each tried: three have seven. */
function factorsOf(measurements: readonly DecodeMeasurement[]): DecodeModel["factors"] {
  // Divided by its own seconds, the equation of a measurement is 1 = products · p + layer · l + token · t.
  const rows = measurements.map(({ productSeconds, layers, decodeTokensPerSecond: rate }) =>
    [productSeconds, layers, 1].map((amount) => amount * rate),
  );
  let best = { error: Infinity, factors: [0, 0, 0] };
  for (const chosen of SUBSETS.filter(({ length }) => length <= Math.max(1, measurements.length - 1))) {
    const solved = leastSquares(rows.map((row) => chosen.map((column) => row[column]!)));
    if (!solved?.every((factor) => factor >= 0)) continue;
    const factors = [0, 0, 0];
    for (const [index, column] of chosen.entries()) factors[column] = solved[index]!;
    const error = rows.reduce((sum, row) => sum + (1 - row.reduce((t, x, i) => t + x * factors[i]!, 0)) ** 2, 0);
    if (error < best.error - 1e-12) best = { error, factors };
  }
  const [products, layer, token] = best.factors;
  return { products: products!, layer: layer!, token: token! };
}

const SUBSETS = [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]];

/** x of least |1 − rows · x|², by Gauss on the normal equations; undefined where they have no one answer. */
function leastSquares(rows: readonly number[][]): number[] | undefined {
  const size = rows[0]!.length;
  const sum = (value: (row: number[]) => number): number => rows.reduce((total, row) => total + value(row), 0);
  const matrix = Array.from({ length: size }, (_, i) => [
    ...Array.from({ length: size }, (_, j) => sum((row) => row[i]! * row[j]!)),
    sum((row) => row[i]!),
  ]);
  const scale = matrix.map((row, i) => row[i]!);
  for (let i = 0; i < size; i++) {
    if (!(matrix[i]![i]! > 1e-12 * scale[i]!)) return undefined;
    for (let other = 0; other < size; other++) {
      if (other === i) continue;
      const factor = matrix[other]![i]! / matrix[i]![i]!;
      for (let column = i; column <= size; column++) matrix[other]![column]! -= factor * matrix[i]![column]!;
    }
  }
  return matrix.map((row, i) => row[size]! / row[i]!);
}

/** Look-up tables are read one row of; an embedding that is the output matrix too is multiplied whole. */
function isMultiplied(name: string, isTied: boolean): boolean {
  if (name === "token_embd.weight") return isTied;
  return !/^(?:per_layer_token_embd|position_embd|token_types)\.|_norm|^rope_/.test(name);
}
