// What statistics of inputs take in memory, before anything runs: for cutting a model into groups of layers whose sums fit a
// bound that does not grow with the number of layers.
import { ResourceError } from "../errors.js";
import { formatBytes } from "../support/units.js";
import type { DistinctInput } from "./distinct-inputs.js";
import { hessianBytes } from "./hessian-sums.js";
import { batchShape } from "./windows.js";

export interface StatisticsShape {
  /** With a candidate: two matrices per input, and the original's inputs kept for a batch. */
  isPaired: boolean;
}

export interface StatisticsMemory {
  /** The sums themselves, there until they are disposed of. */
  sumsBytes: number;
  /** The original's inputs of one batch. */
  keptBytes: number;
  /** Rows and products, while the models run. */
  workBytes: number;
  totalBytes: number;
}

/** Room for kept inputs; a batch may not get shorter for them than `windows.ts` allows. */
const KEPT_BYTES_MAX = 48 * 2 ** 20;
/** Layers of a wide model whose sums are there at once: each group of layers costs a pass over the text. */
const WIDE_LAYERS_AT_ONCE = 4;
/** Of the memory that is free. */
const MEMORY_SHARE_MAX = 0.5;
/** Rows of one product: more would hardly save time, and cost memory for each width of input. */
const PRODUCT_ROWS_MAX = 1024;
/** ggml's fast products want a summed dimension that is a multiple of a vector register. */
const PRODUCT_ROWS_MULTIPLE = 32;

/** Most tokens of a batch, so that what is kept of it stays small; undefined for no bound. */
export function batchTokensMax(inputs: readonly DistinctInput[], { isPaired }: StatisticsShape): number | undefined {
  return isPaired ? Math.floor(KEPT_BYTES_MAX / tokenBytes(inputs)) : undefined;
}

/** Rows gathered for one product from batches of so many tokens. */
export function productRows(batchTokens: number): number {
  return Math.min(PRODUCT_ROWS_MAX, Math.ceil(batchTokens / PRODUCT_ROWS_MULTIPLE) * PRODUCT_ROWS_MULTIPLE);
}

/**
 * Bytes that collecting statistics of these inputs takes at most, beside the models with their caches and graphs.
 *
 * @param contextLength tokens of a window
 */
export function statisticsBytes(
  inputs: readonly DistinctInput[],
  shape: StatisticsShape & { contextLength: number },
): StatisticsMemory {
  const { batchTokens } = batchShape(shape.contextLength, 0, Infinity, batchTokensMax(inputs, shape));
  const { sumsBytes, workBytes } = hessianBytes(inputs, productRows(batchTokens), {
    isPaired: shape.isPaired,
    precision: "bf16", // which takes the most
  });
  const keptBytes = shape.isPaired ? batchTokens * tokenBytes(inputs) : 0;
  return { sumsBytes, keptBytes, workBytes, totalBytes: sumsBytes + keptBytes + workBytes };
}

/**
 * The bound for `cutIntoGroups`: it follows the width of the layers and not their number.
 *
 * @param bytesMin room for the layers of a narrow model
 * @param availableBytes memory that is free; of it half is taken at most
 * @returns `bytesMin`, or what a few of the widest layers take, where memory has it; in any case enough for each single input
 */
export function sumsBudget(
  inputs: readonly DistinctInput[],
  shape: StatisticsShape & { contextLength: number },
  bytesMin: number,
  availableBytes = process.availableMemory(),
): number {
  const bytesOf = (group: readonly DistinctInput[]): number => statisticsBytes(group, shape).totalBytes;
  const widest = Math.max(0, ...byLayer(inputs).map(bytesOf));
  const largest = Math.max(0, ...inputs.map((input) => bytesOf([input])));
  const wanted = Math.max(bytesMin, WIDE_LAYERS_AT_ONCE * widest);
  return Math.max(largest, Math.min(wanted, MEMORY_SHARE_MAX * availableBytes));
}

/**
 * Cuts inputs into groups of consecutive layers, as few as fit; a layer that does not fit is cut between its inputs.
 *
 * @param inputs in the order in which the model computes them
 * @throws {ResourceError} when a single input does not fit, with both numbers
 */
export function cutIntoGroups(
  inputs: readonly DistinctInput[],
  bytesMax: number,
  shape: StatisticsShape & { contextLength: number },
): DistinctInput[][] {
  const fits = (group: readonly DistinctInput[]): boolean => statisticsBytes(group, shape).totalBytes <= bytesMax;
  const groups: DistinctInput[][] = [];
  const append = (part: readonly DistinctInput[]): void => {
    const joined = [...(groups.at(-1) ?? []), ...part];
    if (groups.length > 0 && fits(joined)) groups[groups.length - 1] = joined;
    else if (fits(part)) groups.push([...part]);
    else if (part.length > 1) for (const input of part) append([input]);
    else throw tooLarge(part[0]!, bytesMax, shape);
  };
  for (const layer of byLayer(inputs)) append(layer);
  return groups;
}

function byLayer(inputs: readonly DistinctInput[]): DistinctInput[][] {
  const layers = new Map<number | undefined, DistinctInput[]>();
  for (const input of inputs) {
    const layer = layers.get(input.layer);
    if (layer) layer.push(input);
    else layers.set(input.layer, [input]);
  }
  return [...layers.values()];
}

function tokenBytes(inputs: readonly DistinctInput[]): number {
  return 4 * inputs.reduce((sum, { valuesPerToken }) => sum + valuesPerToken, 0);
}

function tooLarge(input: DistinctInput, bytesMax: number, shape: StatisticsShape & { contextLength: number }) {
  const { totalBytes } = statisticsBytes([input], shape);
  return new ResourceError(
    `Cannot measure what enters "${input.name}": its sums take ${formatBytes(totalBytes)}, ${formatBytes(bytesMax)} are allowed`,
    { hint: "Allow more memory, or leave this tensor to a method without Hessians" },
  );
}
