// What `pare quantize --json` says of a calibration.
import { z } from "zod";

const recoverySchema = z
  .object({
    step: z.number().int().describe("whose weights the file has; 0 where none was better than the start"),
    steps: z.number().int(),
    before: z.number().describe("divergence before it, on the part of the text that is kept apart"),
    after: z.number(),
  })
  .describe("training after rounding, with --recover");

export const calibrationFactsSchema = z.object({
  divergence: z
    .object({
      tokens: z.number().int().describe("scored tokens, none of which a Hessian saw"),
      mean: z.number().describe("nats per token"),
      standardError: z.number(),
      median: z.number(),
      p99: z.number().describe("99th percentile"),
      sameTopRate: z.number().describe("share of tokens with the same most likely next token"),
      perplexityRatio: z.number().describe("the source's perplexity ÷ the result's: 1 means no loss"),
    })
    .optional()
    .describe(
      "KL divergence from the source, on a part of the calibration text that is kept apart; not without a text",
    ),
  recovery: recoverySchema.optional(),
  predictedDivergence: z.number().optional().describe("what single substitutions add up to"),
  statisticsTokens: z.number().int().optional().describe("tokens whose inputs made the Hessians"),
  contextLength: z.number().int().optional().describe("tokens per window of text"),
  measurementWindows: z.number().int().optional().describe("windows that divergences were measured on"),
  table: z.string().optional().describe("file of measurements"),
  statistics: z.string().optional().describe("file of finished statistics that tensors were rounded by"),
});
