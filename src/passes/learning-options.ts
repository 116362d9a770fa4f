// What the options of every pass that learns have in common: how long, how fast, in which type.
import { z } from "zod";

// Lists stand here and not where they are used, as a recipe is read without the engine; the requests' types hold them together.

export const count = z.number().int().positive().optional();
export const positive = z.number().positive().optional();

/** The settings of a run, key by key: each pass adds to them. Threads and checkpoints are those of whoever follows a recipe. */
export const learningShape = {
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
  recompute: z.boolean().optional(),
  type: z.enum(["f32", "f16", "bf16"]).optional(),
  validateEvery: count,
  patience: count,
  seed: z.number().int().min(0).optional(),
};
