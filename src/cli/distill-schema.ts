// The document of `pare distill --json`.
import { z } from "zod";

import { settingsShape } from "./train-schema.js";

const sizeBytes = z.number().int().nonnegative();
const count = z.number().int().nonnegative();
const nats = z.number().describe("nats per token");
const choice = z.object({ layers: z.array(count), loss: nats });
const cost = z.object({
  seconds: z.number(),
  processorSeconds: z.number().describe("processor time, all threads together"),
});

const taughtFile = z.object({
  path: z.string(),
  use: z.enum(["train", "validation", "guard"]),
  sequences: count,
  targets: count.describe("tokens that are learned or measured"),
  sizeBytes,
  restMean: z.number().describe("mean probability that no list holds"),
  loss: nats.describe("the teacher's own cross-entropy"),
});

const validation = z.object({
  step: count,
  loss: nats.describe("cross-entropy of the student"),
  perplexity: z.number(),
  divergence: nats.nullable().describe("from the teacher; its list's other tokens count as one"),
  tokens: count,
  lossBefore: nats.describe("of the student before it learned"),
  lossOfTeacher: nats.nullable().describe("on the same text; null with a temperature other than 1"),
  gapClosed: z.number().nullable().describe("share of the way from the first loss to the teacher's"),
});

const estimate = z.object({
  tokens: z.number().optional().describe("from the beginning until the bar; absent when the curve levels off above it"),
  floor: nats.describe("what the loss comes down to without end"),
  power: z.number(),
  error: nats.describe("root of the mean square of what the curve misses"),
});

export const distillSchema = z
  .object({
    output: z.string(),
    sizeBytes: sizeBytes.describe("of the file written"),
    sha256: z.string(),
    architecture: z.string(),
    parameters: count.describe("of the student"),
    teacher: z.object({ path: z.string().describe("or address"), sha256: z.string().nullable() }),
    student: z.object({
      origin: z.enum(["given", "cut", "new"]),
      layers: z.array(count).nullable().describe("of the teacher, that a cut student keeps"),
      tried: z.array(choice).nullable().describe("every choice of layers with its loss before learning"),
    }),
    settings: z
      .object({
        ...settingsShape,
        divergence: z.enum(["forward-kl", "reverse-kl", "jensen-shannon"]),
        temperature: z.number().describe("what logits were divided by"),
        labels: z.number().describe("share of cross-entropy on the text itself"),
        hidden: z.number().describe("weight of the distance between last hidden states"),
        top: count.describe("tokens kept of the teacher's expectation"),
        sampleTemperature: z.number(),
        freezeEmbeddings: z.boolean(),
        guardTolerance: z.number(),
      })
      .describe("all settings that decide the numbers, defaults filled in"),
    taught: z
      .object({ targets: count, sizeBytes, restMean: z.number(), files: z.array(taughtFile) })
      .describe("what the teacher left on disk"),
    steps: count.describe("steps taken in all"),
    epochs: z.number().describe("how often the text was seen"),
    tokens: z.number().describe("tokens learned in all"),
    resumedFrom: count.describe("step of the checkpoint that it went on from, 0 for a new run"),
    stopped: z.enum(["finished", "no longer better", "worse elsewhere"]),
    loss: z
      .object({ first: z.number(), last: z.number() })
      .nullable()
      .describe("the objective on the first and the last step's own batch, nats per token"),
    validation: validation
      .nullable()
      .describe("of the lowest loss, whose weights were written; null without validation"),
    guard: z
      .object({ before: nats, best: nats.describe("of the weights written"), last: nats, tokens: count })
      .nullable()
      .describe("divergence from the teacher on the guard's text"),
    bar: z.object({ loss: nats, isReached: z.boolean(), estimate: estimate.nullable() }).nullable(),
    cost: z.object({ teaching: cost, cutting: cost.nullable(), learning: cost }),
    tokensPerSecond: z.number().describe("while learning"),
    memoryBytes: sizeBytes.describe("of weights, gradients, optimizer states and intermediate results"),
    metrics: z.string().describe("file of JSON Lines, one for each step and validation"),
    warnings: z.array(z.string()),
  })
  .describe("what `pare distill --json` prints");
