// What passes that learn do alike with recipes: a recipe is followed with the model and the files that it was made with, and
// written with their hashes.
import { dirname, isAbsolute, relative, resolve, sep } from "node:path";

import { UsageError } from "../errors.js";
import { readGguf } from "../formats/gguf/read.js";
import { AtomicFile, refuseReplacing, sha256File, writeFileAtomic } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import type { FileOption } from "./file-options.js";
import { requireSame, requireSource } from "./quantize/recipe-origin.js";
import { type Step, onlyPass, readRecipe, renderRecipe } from "./recipe.js";

/**
 * The pass of a recipe that is followed.
 *
 * @param model path of the one that it is followed with
 * @param filesOf what the pass's options name
 * @throws {UsageError} when the recipe holds another pass, or was made with another model or other files
 * @throws {FormatError} naming the line that can't be read
 */
export async function followPass<Name extends keyof Step>(
  path: string,
  name: Name,
  { model, filesOf }: { model: string; filesOf: (step: NonNullable<Step[Name]>) => FileOption[] },
  options: RunOptions,
): Promise<NonNullable<Step[Name]>> {
  const recipe = await readRecipe(path);
  const step = onlyPass(path, recipe, name);
  await requireSource({ recipe: path, source: recipe.source?.sha256, isStrict: true }, model, options);
  for (const { file, sha256 } of filesOf(step)) {
    const complaint = `Recipe "${path}" was made with another "${file}"`;
    if (sha256 !== undefined) await requireSame(sha256, [file], complaint, options, true);
  }
  return step;
}

/** Tells before a long run that its recipe could not be written. */
export async function requireRecipeOutput(
  path: string,
  { written, read }: Record<"written" | "read", readonly (string | undefined)[]>,
): Promise<void> {
  if (written.some((one) => one !== undefined && resolve(one) === resolve(path)))
    throw new UsageError(`Recipe and model can't both be "${path}"`, { hint: "Give them different names" });
  await refuseReplacing(
    path,
    read.filter((one) => one !== undefined),
  );
  await using _probe = await AtomicFile.create(path);
}

/** Writes a recipe, whole or not at all. @param source SHA-256 of the model that it was made for */
export async function writeRecipe(path: string, source: string, step: Step): Promise<void> {
  await writeFileAtomic(path, renderRecipe({ source: { sha256: source }, passes: [step] }));
}

/** SHA-256 of a model, all parts together, as a recipe has it. */
export async function sourceHash(path: string): Promise<string> {
  await using gguf = await readGguf(path);
  return sha256File(gguf.parts);
}

/** A file with its hash. */
export async function hashed(file: string): Promise<FileOption> {
  return { file, sha256: await sha256File(file) };
}

/** Files with their hashes; nothing where there are none. */
export async function allHashed(files: readonly string[] | undefined): Promise<FileOption[] | undefined> {
  return files && files.length > 0 ? Promise.all(files.map(hashed)) : undefined;
}

/** A path as a recipe has it: relative to the recipe where the file lies beside or below it. */
export function besideRecipe(recipe: string): (file: string) => string {
  return (file) => {
    const path = relative(dirname(recipe), file);
    return isAbsolute(file) && path.startsWith("..") ? file : path.split(sep).join("/");
  };
}
