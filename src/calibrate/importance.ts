// Importance data ("imatrix"): for each linear layer the sum of the squares of what enters each of its columns, over
// calibration text. In memory here; `read-imatrix.ts` and `write-imatrix.ts` exchange it with llama.cpp's tools.
import { PareError } from "../errors.js";

/** Statistics of one linear layer's input. */
export interface ImportanceEntry {
  /** Sum of squared inputs, [columns × matrices], one matrix after the other. */
  sums: Float32Array;
  /** Rows that entered each matrix: tokens, or chunks where `chunkSize` is 0. Length `matrices`. */
  counts: Float32Array;
  columns: number;
  /** Matrices counted apart: the experts of a stacked tensor, otherwise 1. */
  matrices: number;
}

/** What a calibration run knows of the inputs of every linear layer. */
export interface Importance {
  /** By weight name, such as `blk.0.attn_q.weight`. */
  entries: Map<string, ImportanceEntry>;
  chunkCount: number;
  /** Tokens per chunk; 0 when unknown, as in the older `.dat` files, whose counts are in chunks. */
  chunkSize: number;
  /** Where the text came from. */
  datasets: string[];
}

/**
 * Builds an entry and checks that its lengths agree.
 *
 * @throws {RangeError} when `sums` is no multiple of `counts`
 */
export function importanceEntry(sums: Float32Array, counts: Float32Array): ImportanceEntry {
  const matrices = counts.length;
  if (matrices === 0 || sums.length === 0 || sums.length % matrices !== 0) {
    throw new RangeError(`Cannot divide ${sums.length} sums among ${matrices} counts`);
  }
  return { sums, counts, columns: sums.length / matrices, matrices };
}

/**
 * The mean of the squared inputs, sums / count in 32-bit floats: what llama-quantize hands to `llama_model_quantize`.
 * A matrix that nothing entered (an expert never chosen) gets 1 for every column, so that its rows are quantized plainly.
 *
 * @returns [columns × matrices]
 */
export function meanSquares(entry: ImportanceEntry): Float32Array {
  const { sums, counts, columns } = entry;
  const means = new Float32Array(sums.length);
  for (let matrix = 0; matrix < counts.length; matrix++) {
    const count = Math.fround(Math.round(counts[matrix]!));
    const start = matrix * columns;
    if (count > 0) for (let i = start; i < start + columns; i++) means[i] = sums[i]! / count;
    else means.fill(1, start, start + columns);
  }
  return means;
}

/**
 * Adds up importance data from several runs over the same model.
 *
 * @param chunkSize tokens per chunk, for data whose own chunk size is unknown; default: that of the first that knows, else 512
 * @throws {PareError} when two disagree about a tensor's size
 */
export function mergeImportance(parts: readonly Importance[], chunkSize?: number): Importance {
  const size = chunkSize ?? parts.find((part) => part.chunkSize > 0)?.chunkSize ?? 512;
  const entries = new Map<string, ImportanceEntry>();
  for (const part of parts) {
    const scale = part.chunkSize === 0 ? size : 1;
    for (const [name, entry] of part.entries) entries.set(name, addEntries(name, entries.get(name), entry, scale));
  }
  return {
    entries,
    chunkCount: Math.floor(largestCount(entries.values()) / size),
    chunkSize: size,
    datasets: parts.flatMap((part) => part.datasets),
  };
}

/** The largest count of any matrix; 0 without entries. */
export function largestCount(entries: Iterable<ImportanceEntry>): number {
  let largest = 0;
  for (const entry of entries) for (const count of entry.counts) largest = Math.max(largest, count);
  return largest;
}

/** Names of entries in which some matrices saw no input at all, with how many. */
export function unseenMatrices(importance: Importance): { name: string; unseen: number; matrices: number }[] {
  return [...importance.entries]
    .map(([name, { counts, matrices }]) => ({ name, unseen: counts.filter((count) => count === 0).length, matrices }))
    .filter(({ unseen }) => unseen > 0);
}

function addEntries(name: string, total: ImportanceEntry | undefined, part: ImportanceEntry, scale: number) {
  if (!total)
    return importanceEntry(
      part.sums.map((sum) => sum * scale),
      part.counts.map((count) => count * scale),
    );
  if (total.sums.length !== part.sums.length) {
    throw new PareError(
      `Cannot merge importance data: "${name}" has ${part.sums.length} sums in one and ${total.sums.length} in another`,
      {
        hint: "Merge only data measured on the same model",
      },
    );
  }
  const matrices = Math.max(total.matrices, part.matrices);
  const [counts, added] = [broadcast(name, total.counts, matrices), broadcast(name, part.counts, matrices)];
  return importanceEntry(
    total.sums.map((sum, i) => sum + Math.fround(part.sums[i]! * scale)),
    counts.map((count, i) => count + added[i]! * scale),
  );
}

/** One count stands for all matrices: older files keep a single one for a stack of experts. */
function broadcast(name: string, counts: Float32Array, matrices: number): Float32Array {
  if (counts.length === matrices) return counts;
  if (counts.length === 1) return new Float32Array(matrices).fill(counts[0]!);
  throw new PareError(
    `Cannot merge importance data: "${name}" has ${counts.length} counts in one and ${matrices} in another`,
  );
}
