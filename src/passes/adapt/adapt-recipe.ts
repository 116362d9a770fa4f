// What a model learned written down as a recipe, and a recipe followed. Training that went on from a model is the full method.
import { UsageError } from "../../errors.js";
import type { RunOptions } from "../../support/progress.js";
import type { TrainRequest } from "../../train/settings.js";
import { allHashed, besideRecipe, followPass, sourceHash, writeRecipe } from "../learning-recipe.js";
import {
  type AdaptOptions,
  type Following,
  adaptOptionsSchema,
  filesOf,
  requestOfOptions,
  withFiles,
} from "./adapt-options.js";
import type { AdaptRequest } from "./adapt-settings.js";

/**
 * The request that a recipe stands for.
 *
 * @throws {UsageError} when it does not adapt, or was made with another model or another text
 * @throws {FormatError} naming the line that can't be read
 */
export async function adaptRecipe(path: string, following: Following, options: RunOptions): Promise<AdaptRequest> {
  const step = await followPass(path, "adapt", { model: following.model, filesOf }, options);
  return requestOfOptions(step, following);
}

/**
 * The request of `train` that a recipe stands for.
 *
 * @throws {UsageError} when it does not train the model itself, or was made with another model or another text
 * @throws {FormatError} naming the line that can't be read
 */
export async function trainRecipe(
  path: string,
  following: Omit<Following, "merge">,
  options: RunOptions,
): Promise<TrainRequest> {
  const { method, ...request } = await adaptRecipe(path, following, options);
  if (method === "full") return request;
  throw new UsageError(`Recipe "${path}" is of an adapter, not of training`, {
    hint: `Follow it with: pare adapt --model MODEL -o OUT --recipe ${path}`,
  });
}

/**
 * Writes how a model was adapted, whole or not at all. Paths are relative to the recipe.
 *
 * @throws {UsageError} when a file can't be read
 */
export async function writeAdaptRecipe(path: string, request: AdaptRequest): Promise<void> {
  const options = withFiles(await optionsOf(request), besideRecipe(path));
  await writeRecipe(path, await sourceHash(request.model), { adapt: options });
}

/** What of a request stands in a recipe. */
async function optionsOf(request: AdaptRequest): Promise<AdaptOptions> {
  const {
    model: _model,
    output: _output,
    merge: _merge,
    run: _run,
    threads: _threads,
    saveEvery: _save,
    ...rest
  } = request;
  const { texts, validation, ...options } = rest;
  return adaptOptionsSchema.parse({
    ...options,
    texts: await allHashed(texts),
    validation: await allHashed(validation),
  });
}
