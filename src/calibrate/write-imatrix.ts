// Writes importance data in a form that llama.cpp's tools read: GGUF, or the older `.dat`.
import { writeFileAtomic } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { writeGgufImatrix } from "./gguf-imatrix.js";
import { type Importance, mergeImportance } from "./importance.js";
import { encodeLegacyImatrix } from "./legacy-imatrix.js";

export type ImatrixFormat = "gguf" | "dat";

/** The format that a file's extension asks for: `.dat`, otherwise GGUF. */
export function imatrixFormat(path: string): ImatrixFormat {
  return path.toLowerCase().endsWith(".dat") ? "dat" : "gguf";
}

/**
 * Writes an importance file, atomically. Data read from a `.dat` becomes sums per token in a GGUF, at 512 tokens a chunk.
 *
 * @throws {PareError} when the path can't be written
 */
export async function writeImportance(
  path: string,
  importance: Importance,
  options: RunOptions & { format?: ImatrixFormat } = {},
): Promise<void> {
  const format = options.format ?? imatrixFormat(path);
  if (format === "dat") return writeFileAtomic(path, encodeLegacyImatrix(importance));
  await writeGgufImatrix(path, importance.chunkSize === 0 ? mergeImportance([importance]) : importance, options);
}
