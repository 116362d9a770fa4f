// A distillation written down as a recipe, and a recipe followed.
import { dirname, isAbsolute, relative, sep } from "node:path";

import { UsageError } from "../../errors.js";
import { sha256File, writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { requireSource } from "../quantize/recipe-origin.js";
import { type Recipe, readRecipe, renderRecipe } from "../recipe.js";
import { type DistillOptions, distillOptionsSchema, filesOf, requestOfOptions, withFiles } from "./distill-options.js";
import type { DistillRequest } from "./settings.js";

/** What a recipe leaves to whoever follows it. */
export type Following = Pick<DistillRequest, "teacher" | "output" | "run" | "threads">;

/**
 * The request that a recipe stands for.
 *
 * @throws {UsageError} when it does not distil, or was made with another teacher or other files
 * @throws {FormatError} naming the line that can't be read
 */
export async function distillRecipe(path: string, following: Following, options: RunOptions): Promise<DistillRequest> {
  const { source, passes } = await readRecipe(path);
  const step = passes.length === 1 ? passes[0]!.distill : undefined;
  if (!step)
    throw new UsageError(`Recipe "${path}" is not of one distill pass`, {
      hint: `Follow it with: pare quantize --recipe`,
    });
  await requireSource({ recipe: path, source: source?.sha256 }, following.teacher, options);
  for (const { file, sha256 } of filesOf(step)) {
    if (sha256 !== undefined && (await sha256File(file, options.signal)) !== sha256.toLowerCase())
      throw new UsageError(`Recipe "${path}" was made with another "${file}"`, {
        hint: "Name the file that it was made with",
      });
  }
  return {
    ...requestOfOptions(step, following.teacher, following.output),
    run: following.run,
    threads: following.threads,
  };
}

/**
 * Writes how a student was made, whole or not at all. Paths are relative to the recipe.
 *
 * @param teacher SHA-256 of its file
 * @throws {UsageError} when the teacher is an endpoint, whose answers a recipe can't bring back
 */
export async function writeDistillRecipe(path: string, request: DistillRequest, teacher: string | null): Promise<void> {
  if (teacher === null) throw new UsageError("An endpoint's answers can't be made again from a recipe");
  const options = withFiles(await optionsOf(request), (file) => besideRecipe(path, file));
  const source: Recipe["source"] = { sha256: teacher };
  await writeFileAtomic(path, renderRecipe({ source, passes: [{ distill: options }] }));
}

/** What of a request stands in a recipe. */
async function optionsOf(request: DistillRequest): Promise<DistillOptions> {
  const {
    teacher: _teacher,
    output: _output,
    run: _run,
    threads: _threads,
    bar: _bar,
    saveEvery: _saveEvery,
    ...rest
  } = request;
  const { student, texts, validation, guard, teacherModel: _model, answerTokens: _tokens, ...options } = rest;
  const hashed = async (file: string) => ({ file, sha256: await sha256File(file) });
  const all = async (list: readonly string[] | undefined) =>
    list && list.length > 0 ? Promise.all(list.map(hashed)) : undefined;
  return distillOptionsSchema.parse({
    ...options,
    student: student === undefined ? undefined : await hashed(student),
    texts: await all(texts),
    validation: await all(validation),
    guard: await all(guard),
  });
}

function besideRecipe(recipe: string, file: string): string {
  const path = relative(dirname(recipe), file);
  return isAbsolute(file) && path.startsWith("..") ? file : path.split(sep).join("/");
}
