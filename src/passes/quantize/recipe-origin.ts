// Is a recipe followed with what it was made with? Its hashes tell; a recipe that has none suits any model.
import { stat } from "node:fs/promises";

import { statisticsKind } from "../../calibrate/finished-statistics.js";
import { FormatError, UsageError } from "../../errors.js";
import { isRemote } from "../../formats/gguf/bytes.js";
import { readGguf } from "../../formats/gguf/read.js";
import { sha256File } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";

/** What a recipe says of the files that it was made with. */
export interface RecipeOrigin {
  /** The recipe's path. */
  recipe: string;
  /** SHA-256 of the model, all parts together. */
  source?: string | undefined;
  /** SHA-256 of the importance data. */
  importance?: string | undefined;
  /** Nothing allows going on with another model. */
  isStrict?: boolean;
}

interface HashedFile {
  file: string;
  sha256?: string | undefined;
}

/** @throws {UsageError} when the recipe was made for another model */
export async function requireSource(origin: RecipeOrigin, path: string, options: RunOptions): Promise<void> {
  if (origin.source === undefined) return;
  if (isRemote(path)) {
    throw new UsageError(`Cannot tell whether "${path}" is what the recipe was made for: that takes all of its bytes`, {
      hint: `Download it first${origin.isStrict ? "" : ", or add --allow-mismatch to go on all the same"}`,
    });
  }
  await using gguf = await readGguf(path, options);
  const complaint = `Recipe "${origin.recipe}" was made for another model`;
  await requireSame(origin.source, gguf.parts, complaint, options, origin.isStrict);
}

/** @throws {UsageError} when the recipe was made with other importance data */
export async function requireImportance(origin: RecipeOrigin, path: string, options: RunOptions): Promise<void> {
  const complaint = `Recipe "${origin.recipe}" was made with other importance data`;
  if (origin.importance !== undefined) await requireSame(origin.importance, [path], complaint, options);
}

/**
 * @throws {UsageError} when the recipe was made with another text, or with other statistics
 * @throws {FormatError} when what it names as statistics holds none
 */
export async function requireCalibration(
  recipe: string,
  { texts = [], statistics }: { texts?: readonly HashedFile[] | undefined; statistics?: HashedFile | undefined },
  options: RunOptions,
): Promise<void> {
  const files = [
    ...texts.map((text) => ({ ...text, what: "another text" })),
    ...(statistics ? [{ ...statistics, what: "other statistics" }] : []),
  ];
  for (const { file, sha256: wanted, what } of files) {
    if (wanted !== undefined) await requireSame(wanted, [file], `Recipe "${recipe}" was made with ${what}`, options);
  }
  if (statistics) await requireStatistics(recipe, statistics.file, options);
}

/** A text among the statistics would be taken for one more text. */
async function requireStatistics(recipe: string, file: string, { signal }: RunOptions): Promise<void> {
  if ((await statisticsKind(file, { signal })) !== undefined) return;
  const isThere = await stat(file).then(
    () => true,
    () => false,
  );
  const reason = isThere ? "it holds none" : "there is no such file";
  throw new FormatError(file, `Cannot follow recipe "${recipe}" with "${file}" as its statistics: ${reason}`, {
    hint: "Name what `pare calibrate MODEL TEXT -o imatrix.gguf --hessians FILE.gguf` writes; list a text under texts",
  });
}

/** @throws {UsageError} with the complaint, when the files' SHA-256, all bytes together, is not what is wanted */
export async function requireSame(
  wanted: string,
  files: readonly string[],
  complaint: string,
  { signal, onProgress }: RunOptions,
  isStrict = false,
): Promise<void> {
  const [path] = files as [string];
  onProgress?.({ stage: "hashing", done: 0, total: 1, unit: "files", detail: path });
  const found = await sha256File(files, signal);
  if (found === wanted.toLowerCase()) return;
  throw new UsageError(`${complaint}: the SHA-256 of "${path}" is ${short(found)}, ${short(wanted)} is wanted`, {
    hint: `Name the file that it was made with${isStrict ? "" : ", or add --allow-mismatch to go on with this one"}`,
  });
}

function short(hash: string): string {
  return hash.length > 16 ? `${hash.slice(0, 16)}…` : hash;
}
