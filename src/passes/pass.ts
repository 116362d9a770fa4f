// What a compression method looks like to the rest of Pare: a pass takes a model and gives a model, both lazy, so that
// tensors stream through one by one. It never judges itself and fetches nothing: what it needs comes in its context.
import type { z } from "zod";

import type { Importance } from "../calibrate/importance.js";
import type { Model } from "../model/model.js";
import type { GgmlLibrary } from "../native/engine.js";
import type { RunOptions } from "../support/progress.js";

/** What a pass may use besides the model. */
export interface PassContext extends RunOptions {
  readonly engine: GgmlLibrary;
  /** How many native calls may run at once. */
  readonly threads: number;
  /** Start of every random choice. */
  readonly seed: number;
  /** Calibration statistics and the file they came from, where the user gave some. */
  readonly importance?: { readonly path: string; readonly data: Importance };
}

/** A compression method. */
export interface Pass<Options> {
  /** As it stands in a recipe. */
  readonly name: string;
  /** One sentence for people. */
  readonly summary: string;
  /** Where the method is described. */
  readonly paper: string;
  readonly options: z.ZodType<Options>;
  /**
   * Transforms a model. The source stays open as long as the result is read, and closing the result closes it.
   *
   * @throws {UsageError} when the options can't be met on this model
   */
  apply(model: Model, options: Options, context: PassContext): Promise<Model>;
}
