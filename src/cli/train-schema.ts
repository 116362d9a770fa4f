// The documents of `pare vocabulary`, `pare train` and `pare adapt --json`. They stand apart from the others for their length only.
import { z } from "zod";

const sizeBytes = z.number().int().nonnegative();

/** Of every run that learns. */
export const settingsShape = {
  contextLength: z.number().int().describe("tokens of a sequence"),
  batch: z.number().int().describe("sequences of a step"),
  microBatch: z.number().int().describe("sequences computed at once"),
  steps: z.number().int(),
  schedule: z.object({
    kind: z.enum(["cosine", "warmup-stable-decay", "constant"]),
    rate: z.number().describe("highest learning rate"),
    steps: z.number().int(),
    warmupSteps: z.number().int(),
    finalShare: z.number().describe("where the rate ends, as a share of the highest"),
    decayShare: z.number().describe("share of the steps in which a stable rate decays"),
  }),
  optimizer: z.enum(["adamw", "adafactor"]),
  weightDecay: z.number(),
  clipNorm: z.number().describe("largest norm of the gradients"),
  products: z.enum(["f32", "bf16", "f16"]).describe("type in which weights were multiplied"),
  recompute: z.boolean(),
  validateEvery: z.number().int().describe("steps between validations"),
  patience: z.number().int().optional(),
  saveEvery: z.number().int().describe("steps between checkpoints"),
  seed: z.number().int(),
  threads: z.number().int(),
};

export const trainSchema = z
  .object({
    output: z.string(),
    sizeBytes: sizeBytes.describe("of the file written"),
    sha256: z.string(),
    architecture: z.string(),
    parameters: z.number().int(),
    settings: z.object(settingsShape).describe("all settings that decide the numbers, defaults filled in"),
    steps: z.number().int().describe("steps taken in all"),
    epochs: z.number().describe("how often the text was seen"),
    resumedFrom: z.number().int().describe("step of the checkpoint that it went on from, 0 for a new run"),
    stopped: z.enum(["finished", "no longer better"]),
    loss: z
      .object({ first: z.number(), last: z.number() })
      .nullable()
      .describe("nats per token of the first and the last step's own batch"),
    validation: z
      .object({
        step: z.number().int(),
        loss: z.number().describe("nats per token"),
        perplexity: z.number(),
        tokens: z.number().int().describe("targets that it was measured on"),
      })
      .nullable()
      .describe("the lowest loss of a validation, whose weights were written; null without validation"),
    seconds: z.number().describe("of the steps taken now, with validations and checkpoints"),
    tokensPerSecond: z.number(),
    memoryBytes: sizeBytes.describe("of weights, gradients, optimizer states and intermediate results"),
    metrics: z.string().describe("file of JSON Lines, one for each step and validation"),
  })
  .describe("what `pare train --json` prints");

const mergedSchema = z
  .object({ output: z.string(), sizeBytes: z.number().int().nonnegative(), sha256: z.string() })
  .describe("the model with the adapter merged into it");

const learned = trainSchema.extend({
  method: z.enum(["lora", "full"]),
  parameters: z.number().int().describe("that were trained"),
  adapter: z
    .object({
      rank: z.number().int(),
      alpha: z.number().describe("the adapter's products are multiplied by alpha / rank"),
      targets: z.array(z.string()).describe("kinds of matrices that have an adapter"),
      firstLayer: z.number().int().describe("from which on layers have one, from 0"),
      matrices: z.number().int().describe("that have one"),
    })
    .nullable()
    .describe("null where the model itself was trained"),
  merged: mergedSchema.nullable(),
});

export const adaptSchema = z
  .union([learned, z.object({ merged: mergedSchema })])
  .describe("what `pare adapt --json` prints; where an adapter is only merged, merged alone");

export const vocabularySchema = z
  .object({
    output: z.string(),
    sizeBytes: sizeBytes.describe("of the file written"),
    sha256: z.string(),
    tokens: z.number().int().describe("all of them, fewer than asked for where the text gives no more"),
    merges: z.number().int(),
    control: z
      .array(z.object({ id: z.number().int(), text: z.string() }))
      .describe("tokens that stand for no text, the one that ends a document first"),
    bytes: sizeBytes.describe("of the text that it was learned from"),
    bytesPerToken: z.number().describe("of that text"),
    seconds: z.number(),
  })
  .describe("what `pare vocabulary --json` prints");
