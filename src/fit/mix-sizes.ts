// Which sizes of a model are worth a mix of types: those asked for, or steps over all that there is. Arithmetic on the
// tensor table; nothing is measured, and a size costs nothing until it is made.
import { UsageError } from "../errors.js";
import { bitsPerWeight } from "../model/memory.js";
import type { Model } from "../model/model.js";
import { formatBytes } from "../support/units.js";
import { allocationProblem } from "./allocate/allocate.js";
import { smallestBytes } from "./allocate/choose-types.js";
import { evenMeasurements } from "./allocate/even-measurements.js";
import { headerBytes, parseFileSize, targetBytes, weightsTotal } from "./allocate/size-target.js";
import { openTypes } from "./allocate/solve-mix.js";

/** How far one size is from the next where none are asked for: finer than what most bars can tell apart. */
const STEP = 1.08;
/** Beyond this next to nothing is lost that a smaller mix would keep. */
const BITS_MAX = 8;

/** A size of a model's file. */
export interface MixSize {
  /** As it was asked for, or in bits per weight. */
  size: string;
  /** Most bytes that the file may have. */
  fileBytes: number;
}

/**
 * Bytes of the smallest mix of a model, or of the smallest from a size on: fewer types are open to larger files, so a file that is
 * a little larger than one that can be made may not exist.
 */
export function smallestMixBytes(model: Model, from = 0): number {
  return leastBytes(model, leastBytes(model, from)); // what is open to tiny files may not be open to the smallest there is
}

/** Bytes of the smallest file that the types come to that are open to a file of a size. */
function leastBytes(model: Model, fileBytes: number): number {
  const table = { tensors: evenMeasurements(model.tensors, model.tensors.keys()) };
  const types = openTypes(model, { fileBytes }, "default");
  return smallestBytes(allocationProblem({ model, table, types, fileBytes }));
}

function isReachable(model: Model, fileBytes: number): boolean {
  return leastBytes(model, fileBytes) <= fileBytes && fileBytes < model.fileSizeBytes!;
}

/**
 * The sizes to make of several models, each its own; what one of them can't be made as is left to the others.
 *
 * @returns by model, ascending
 * @throws {UsageError} when none of them reaches a size that is asked for, or none is larger
 */
export async function mixSizes(models: readonly Model[], asked: readonly string[] | undefined): Promise<MixSize[][]> {
  if (asked === undefined) return Promise.all(models.map(steps));
  const sizes: MixSize[][] = models.map(() => []);
  for (const size of new Set(asked)) {
    const bytes = await Promise.all(models.map((model) => targetBytes(parseFileSize(size), model)));
    const isWithin = models.map((model, i) => isReachable(model, bytes[i]!));
    if (!isWithin.includes(true)) throw outOfReach(size, bytes[0]!, models[0]!);
    for (const [i, list] of sizes.entries()) if (isWithin[i]) list.push({ size, fileBytes: bytes[i]! });
  }
  return sizes.map(ascending);
}

async function steps(model: Model): Promise<MixSize[]> {
  const least = smallestMixBytes(model);
  const first = Math.ceil((800 * (least - headerBytes(model))) / weightsTotal(model)) / 100;
  const bitsMax = Math.min(Math.max(BITS_MAX, first), bitsPerWeight(model) / STEP);
  const sizes: MixSize[] = [];
  for (let bits = first; bits <= bitsMax; bits *= STEP) {
    const size = `${bits.toFixed(2)}bpw`;
    const fileBytes = await targetBytes(parseFileSize(size), model);
    if (isReachable(model, fileBytes)) sizes.push({ size, fileBytes });
  }
  return sizes;
}

/** Two ways to ask for one size are one. */
function ascending(sizes: readonly MixSize[]): MixSize[] {
  const byBytes = new Map(sizes.map((size) => [size.fileBytes, size]));
  return [...byBytes.values()].sort((a, b) => a.fileBytes - b.fileBytes);
}

function outOfReach(size: string, bytes: number, model: Model): UsageError {
  const [least, most] = [smallestMixBytes(model, bytes), model.fileSizeBytes!];
  const found =
    bytes < least
      ? `the smallest mix of types takes ${formatBytes(least)} (${least} bytes)`
      : `the model itself has ${formatBytes(most)}`;
  return new UsageError(`Cannot make a mix of ${size}, ${formatBytes(bytes)}: ${found}`, {
    hint: `Ask for a size from ${Math.min(least, smallestMixBytes(model))}B on and below ${most}B, or for none: then steps over all sizes race`,
  });
}
