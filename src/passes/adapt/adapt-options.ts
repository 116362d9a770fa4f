// The options of the adapt pass as they stand in a recipe: what is learned, and on what. The model is the one that the pass is
// given.
import { z } from "zod";

import { type FileOption, fileOptions, filesUnder, pathsOf, withPaths } from "../file-options.js";
import { count, learningShape, positive } from "../learning-options.js";
import type { AdaptRequest } from "./adapt-settings.js";
import { ADAPTER_TARGETS } from "./targets.js";

export const adaptOptionsSchema = z
  .strictObject({
    method: z.enum(["lora", "full"]).optional().describe("an adapter beside the model, or all of its weights"),
    rank: count.describe("of the adapter's matrices"),
    alpha: positive,
    targets: z.array(z.enum(ADAPTER_TARGETS)).min(1).optional().describe("matrices that are adapted"),
    lastLayers: count.describe("that are adapted"),
    texts: fileOptions,
    validation: fileOptions.optional(),
    ...learningShape,
  })
  .refine(
    ({ method, rank, alpha, targets, lastLayers }) =>
      method !== "full" || [rank, alpha, targets, lastLayers].every((one) => one === undefined),
    "rank, alpha, targets and lastLayers mean nothing to the full method",
  );

/** What the adapt pass can be told. */
export type AdaptOptions = z.output<typeof adaptOptionsSchema>;

/** What a recipe leaves to whoever follows it. */
export type Following = Pick<AdaptRequest, "model" | "output" | "merge" | "run" | "threads">;

/** The request that options stand for. */
export function requestOfOptions({ texts, validation, ...rest }: AdaptOptions, following: Following): AdaptRequest {
  return { ...rest, ...following, texts: texts.map(({ file }) => file), validation: pathsOf(validation) };
}

const FILES = ["texts", "validation"] as const;

/** The files that options name, each with its hash where there is one. */
export function filesOf(options: AdaptOptions): FileOption[] {
  return filesUnder(FILES, options);
}

/** The options with other paths. */
export function withFiles(options: AdaptOptions, pathOf: (path: string) => string): AdaptOptions {
  return withPaths(FILES, options, pathOf);
}
