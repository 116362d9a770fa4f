// The options of the distill pass as they stand in a recipe: how a student learns, and on what. The teacher is the model that
// the pass is given.
import { z } from "zod";

import { type FileOption, fileOption, fileOptions, filesUnder, pathsOf, withPaths } from "../file-options.js";
import { count, learningShape, positive } from "../learning-options.js";
import type { DistillRequest } from "./settings.js";

export const distillOptionsSchema = z
  .strictObject({
    student: fileOption.optional().describe("a GGUF model"),
    layers: count.describe("of the teacher, that the student keeps"),
    narrow: z
      .strictObject({ width: count, heads: count, feedForward: count })
      .optional()
      .describe("what the student keeps of the teacher's widths"),
    shape: z
      .strictObject({
        architecture: z.enum(["llama", "qwen2", "qwen3"]),
        layers: z.number().int().positive(),
        width: z.number().int().positive(),
        heads: z.number().int().positive(),
        kvHeads: count,
        feedForward: count,
        ropeBase: positive,
        isTied: z.boolean().optional(),
      })
      .optional()
      .describe("of a new student"),
    texts: fileOptions.optional(),
    validation: fileOptions.optional(),
    guard: fileOptions.optional(),
    sample: count.describe("tokens that the teacher writes"),
    sampleTemperature: positive,
    divergence: z.enum(["forward-kl", "reverse-kl", "jensen-shannon"]).optional(),
    temperature: positive,
    labels: z.number().min(0).max(1).optional(),
    hidden: z.number().min(0).optional(),
    top: count,
    onPolicy: count,
    freezeEmbeddings: z.boolean().optional(),
    guardTolerance: z.number().min(0).optional(),
    ...learningShape,
  })
  .refine(
    ({ student, layers, narrow, shape }) =>
      [student, layers ?? narrow, shape].filter((one) => one !== undefined).length === 1,
    "one of student, layers (or narrow) and shape is wanted",
  )
  .refine(({ texts, sample }) => texts ?? sample, "texts or sample is wanted");

/** What the distill pass can be told. */
export type DistillOptions = z.output<typeof distillOptionsSchema>;

/** The request that options stand for. */
export function requestOfOptions(options: DistillOptions, teacher: string, output: string): DistillRequest {
  const { student, texts, validation, guard, ...rest } = options;
  return {
    ...rest,
    teacher,
    output,
    student: student?.file,
    texts: pathsOf(texts),
    validation: pathsOf(validation),
    guard: pathsOf(guard),
  };
}

const FILES = ["student", "texts", "validation", "guard"] as const;

/** The files that options name, each with its hash where there is one. */
export function filesOf(options: DistillOptions): FileOption[] {
  return filesUnder(FILES, options);
}

/** The options with other paths. */
export function withFiles(options: DistillOptions, pathOf: (path: string) => string): DistillOptions {
  return withPaths(FILES, options, pathOf);
}
