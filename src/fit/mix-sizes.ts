// Which sizes of a model are worth a mix of types: those asked for, or steps over all that there is. Arithmetic on the
// tensor table; nothing is measured, and a size costs nothing until it is made.
import { UsageError } from "../errors.js";
import { bitsPerWeight } from "../model/memory.js";
import type { Model } from "../model/model.js";
import { formatBytes } from "../support/units.js";
import { allocate } from "./allocate/allocate.js";
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

/** Bytes of the smallest mix of a model. */
export function smallestMixBytes(model: Model): number {
  const table = { tensors: evenMeasurements(model.tensors, model.tensors.keys()) };
  const types = openTypes(model, { fileBytes: 0 }, "default");
  return allocate({ model, table, types, fileBytes: model.fileSizeBytes! }).smallestBytes;
}

/**
 * The sizes to make of several models, each its own; what one of them can't be made as is left to the others.
 *
 * @returns by model, ascending
 * @throws {UsageError} when none of them reaches a size that is asked for, or none is larger
 */
export async function mixSizes(models: readonly Model[], asked: readonly string[] | undefined): Promise<MixSize[][]> {
  if (asked === undefined) return Promise.all(models.map(steps));
  const ranges = models.map((model) => ({ model, least: smallestMixBytes(model), most: model.fileSizeBytes! }));
  const sizes: MixSize[][] = ranges.map(() => []);
  for (const size of new Set(asked)) {
    const bytes = await Promise.all(models.map((model) => targetBytes(parseFileSize(size), model)));
    const isWithin = ranges.map(({ least, most }, i) => bytes[i]! >= least && bytes[i]! < most);
    if (!isWithin.includes(true)) throw outOfReach(size, bytes[0]!, ranges[0]!);
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
    if (fileBytes >= least) sizes.push({ size, fileBytes });
  }
  return sizes;
}

/** Two ways to ask for one size are one. */
function ascending(sizes: readonly MixSize[]): MixSize[] {
  const byBytes = new Map(sizes.map((size) => [size.fileBytes, size]));
  return [...byBytes.values()].sort((a, b) => a.fileBytes - b.fileBytes);
}

function outOfReach(size: string, bytes: number, { least, most }: { least: number; most: number }): UsageError {
  const found =
    bytes < least
      ? `the smallest mix of types takes ${formatBytes(least)} (${least} bytes)`
      : `the model itself has ${formatBytes(most)}`;
  return new UsageError(`Cannot make a mix of ${size}, ${formatBytes(bytes)}: ${found}`, {
    hint: `Ask for a size from ${least}B on and below ${most}B, or for none: then steps over all sizes race`,
  });
}
