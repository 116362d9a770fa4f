// The options of the distill pass as they stand in a recipe: how a student learns, and on what. The teacher is the model that
// the pass is given.
import { z } from "zod";

import type { DistillRequest } from "./settings.js";

// Lists stand here and not where they are used, as a recipe is read without the engine; the request's type holds them together.

/** The short form, a file alone, as the long one. */
const file = z.preprocess(
  (value) => (typeof value === "string" ? { file: value } : value),
  z.strictObject({
    file: z.string().min(1).describe("relative to the recipe's folder"),
    sha256: z.string().optional(),
  }),
);
const files = z.array(file).min(1).optional();
const count = z.number().int().positive().optional();
const positive = z.number().positive().optional();

export const distillOptionsSchema = z
  .strictObject({
    student: file.optional().describe("a GGUF model"),
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
    texts: files,
    validation: files,
    guard: files,
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
    validationShare: z.number().min(0).lt(1).optional(),
    contextLength: count,
    batch: count,
    microBatch: count,
    steps: count,
    epochs: positive,
    rate: positive,
    schedule: z.enum(["cosine", "warmup-stable-decay", "constant"]).optional(),
    warmupSteps: z.number().int().min(0).optional(),
    optimizer: z.enum(["adamw", "adafactor"]).optional(),
    weightDecay: z.number().min(0).optional(),
    clipNorm: positive,
    products: z.enum(["f32", "bf16", "f16"]).optional(),
    type: z.enum(["f32", "f16", "bf16"]).optional(),
    validateEvery: count,
    patience: count,
    seed: z.number().int().min(0).optional(),
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
  const paths = (list: DistillOptions["texts"]): string[] | undefined => list?.map((one) => one.file);
  return {
    ...rest,
    teacher,
    output,
    student: student?.file,
    texts: paths(texts),
    validation: paths(validation),
    guard: paths(guard),
  };
}

/** The files that options name, each with its hash where there is one. */
export function filesOf({ student, texts = [], validation = [], guard = [] }: DistillOptions) {
  return [...(student ? [student] : []), ...texts, ...validation, ...guard];
}

/** The options with other paths. */
export function withFiles(options: DistillOptions, pathOf: (path: string) => string): DistillOptions {
  const moved = <File extends { file: string }>(one: File): File => ({ ...one, file: pathOf(one.file) });
  const { student, texts, validation, guard } = options;
  return {
    ...options,
    ...(student && { student: moved(student) }),
    ...(texts && { texts: texts.map(moved) }),
    ...(validation && { validation: validation.map(moved) }),
    ...(guard && { guard: guard.map(moved) }),
  };
}
