// The document of `pare compare`.
import { z } from "zod";

import { judgeSchema } from "./eval-schemas.js";

const interval = z.object({ mean: z.number(), low: z.number(), high: z.number() });

export const compareSchema = z
  .object({
    task: z.object({ name: z.string(), path: z.string(), sha256: z.string() }),
    cases: z.number().int(),
    frontBy: z
      .enum(["cost", "latency"])
      .describe("what the front is drawn by, beside the score: cost where all have a price"),
    contenders: z
      .array(
        z.object({
          name: z.string(),
          kind: z.enum(["file", "endpoint"]),
          spec: z.string().describe("path, or address and model"),
          score: interval.describe("mean score with its 95 % interval"),
          cases: z.number().int().describe("cases that were scored"),
          unscored: z
            .number()
            .int()
            .describe("answers that could not be judged, or questions that the endpoint refused"),
          difference: interval
            .optional()
            .describe("score minus the first contender's on the same cases, with its 95 % interval"),
          worstTag: z.object({ tag: z.string(), mean: z.number() }).optional(),
          judge: judgeSchema.optional(),
          latencyMs: z.object({ median: z.number(), p95: z.number() }).nullable(),
          firstTextMs: z.number().nullable().describe("median time to the first text"),
          promptTokens: z.number().describe("mean per request"),
          answerTokens: z.number().describe("mean per request"),
          costPer1000: z.number().nullable().describe("dollars per 1 000 requests; null without a price"),
          return: z
            .object({
              volume: z.number().describe("requests per month"),
              costPerMonth: z.number(),
              savingPerMonth: z.number().describe("against the first contender"),
              paybackMonths: z
                .number()
                .nullable()
                .optional()
                .describe("with --investment; null where nothing is saved"),
            })
            .optional()
            .describe("with --volume, in dollars"),
          integration: z
            .object({
              contextLength: z.number().nullable(),
              tools: z.boolean().nullable(),
              jsonMode: z.boolean().nullable(),
              license: z.string().nullable(),
              api: z.string(),
              fineTuning: z.string().nullable(),
              sizeBytes: z.number().optional(),
            })
            .describe("null for what is not known"),
          isOnFront: z.boolean(),
        }),
      )
      .describe("the first is the one that others are compared with"),
    notes: z.array(z.string()),
  })
  .describe("what `pare compare --json` prints and `comparison.json` holds");
