// A distillation written down as a recipe, and a recipe followed.
import { UsageError } from "../../errors.js";
import type { RunOptions } from "../../support/progress.js";
import { allHashed, besideRecipe, followPass, hashed, writeRecipe } from "../learning-recipe.js";
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
  const { teacher, output, run, threads } = following;
  const step = await followPass(path, "distill", { model: teacher, filesOf }, options);
  return { ...requestOfOptions(step, teacher, output), run, threads };
}

/**
 * Writes how a student was made, whole or not at all. Paths are relative to the recipe.
 *
 * @param teacher SHA-256 of its file
 * @throws {UsageError} when the teacher is an endpoint, whose answers a recipe can't bring back
 */
export async function writeDistillRecipe(path: string, request: DistillRequest, teacher: string | null): Promise<void> {
  if (teacher === null) throw new UsageError("An endpoint's answers can't be made again from a recipe");
  const options = withFiles(await optionsOf(request), besideRecipe(path));
  await writeRecipe(path, teacher, { distill: options });
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
  return distillOptionsSchema.parse({
    ...options,
    student: student === undefined ? undefined : await hashed(student),
    texts: await allHashed(texts),
    validation: await allHashed(validation),
    guard: await allHashed(guard),
  });
}
