// A recipe on the command line of what learns: followed, or written.
import type { Command } from "commander";

import { UsageError } from "../errors.js";
import type { AdaptRequest } from "../passes/adapt/adapt-settings.js";
import { option } from "./options.js";

export interface RecipeOptions {
  recipe?: string;
  saveRecipe?: string;
}

/** @param what the recipe tells, as in "how the student was made" */
export function addRecipeOptions(command: Command, what: string): void {
  const file = { completes: "file" } as const;
  command
    .addOption(option("--recipe <file>", "recipe to follow, in place of all that it says itself", file))
    .addOption(option("--save-recipe <file>", `write ${what}, for --recipe`, file));
}

/**
 * Refuses what a recipe says itself.
 *
 * @param left names of options that it leaves to whoever follows it
 * @throws {UsageError} when more is given
 */
export function requireRecipeAlone(recipe: string, options: object, texts: string[], left: readonly string[]): void {
  const allowed = new Set(["recipe", ...left]);
  if (texts.length === 0 && Object.keys(options).every((name) => allowed.has(name))) return;
  throw new UsageError("A recipe says all that is to be done, and more options are given", {
    hint: `Write them into "${recipe}", or leave --recipe out`,
  });
}

/** Runs what learns, and writes down how where that is asked for. */
export async function keepingRecipe<Result>(
  { saveRecipe: path }: RecipeOptions,
  request: AdaptRequest,
  learn: () => Promise<Result>,
): Promise<Result> {
  if (path === undefined) return learn();
  const { requireRecipeOutput } = await import("../passes/learning-recipe.js");
  const { writeAdaptRecipe } = await import("../passes/adapt/adapt-recipe.js");
  const { model, texts, validation = [], output, merge } = request;
  await requireRecipeOutput(path, { written: [output, merge], read: [model, ...texts, ...validation] });
  const result = await learn();
  await writeAdaptRecipe(path, request);
  return result;
}
