// The signed-off outcome of a fit: the verdict, the evidence for it, and what is needed to check it again. Written as
// `certificate.json`, printed by `pare fit --json`, drawn by the report. Field names are stable.
import { z } from "zod";

import { costSchema } from "../cost/cost.js";

/** How each verdict ends the command. */
export const EXIT_CODES = { ACCEPT: 0, REJECT: 3, INFEASIBLE: 4, NEED_MORE: 5 } as const;

export const verdictSchema = z
  .enum(["ACCEPT", "REJECT", "INFEASIBLE", "NEED_MORE"])
  .describe(
    "ACCEPT: the winner clears the bar. REJECT: nothing that fits clears it. INFEASIBLE: nothing fits the device. " +
      "NEED_MORE: the evidence settles neither; `casesNeeded` says how much would",
  );

/** A number with its 95 % confidence interval. */
export const estimateSchema = z.object({
  mean: z.number(),
  low: z.number().describe("lower end of the 95 % confidence interval"),
  high: z.number().describe("upper end of the 95 % confidence interval"),
});

export const qualitySchema = z.object({
  metric: z
    .enum(["perplexityRatio", "score"])
    .describe("perplexityRatio: baseline perplexity / candidate perplexity. score: mean score of the task's cases"),
  part: z.enum(["selection", "confirmation"]).describe("the part of the task that it was measured on"),
  kept: estimateSchema.describe("share of the baseline's quality that is kept, 1 is all of it"),
  perplexity: estimateSchema.optional(),
  klDivergence: z
    .object({ mean: z.number(), standardError: z.number(), median: z.number(), p99: z.number() })
    .optional(),
  sameTopRate: z.number().optional(),
  score: estimateSchema.optional(),
  keptBeyond: estimateSchema
    .optional()
    .describe(
      "the same for all cases like these, where `kept` is about the part alone; absent where some cases were more likely to be drawn than others",
    ),
  won: z.number().optional().describe("mean gain per case over the baseline, where it was better"),
  lost: z.number().optional().describe("mean loss per case, where the baseline was better"),
  tokens: z.number().int().optional().describe("scored tokens"),
  cases: z.number().int().optional().describe("scored cases"),
  slices: z
    .array(z.object({ tag: z.string(), cases: z.number().int(), kept: estimateSchema }))
    .optional()
    .describe("the same for the cases of each tag, the worst first; the intervals hold all at once (Bonferroni)"),
  casesInPart: z.number().int().optional().describe("cases that the part has; `kept` is about all of them"),
  casesToSettle: z
    .number()
    .int()
    .optional()
    .describe("estimate of how many more cases would show on which side of the bar it lies; 0 where that is clear"),
});

export const speedSchema = z.object({
  decodeTokensPerSecond: z.number().nullable(),
  prefillTokensPerSecond: z.number().nullable(),
  source: z.enum(["measured", "predicted"]),
});

export const trialSchema = z.object({
  id: z.string().describe("hash of what was measured: candidate, evidence, files"),
  model: z.string().describe("base model, as named in the request"),
  candidate: z.string().describe("short name, such as q4_K_M, q5_K+q8_0-embd or mix@4.2bpw"),
  recipe: z
    .record(z.string(), z.unknown())
    .describe("what was done to the model; of a mix the size that was asked for and the texts with their hashes"),
  sizeBytes: z.number().int(),
  bitsPerWeight: z.number(),
  memoryBytes: z.number().int().describe("weights, KV cache and compute buffers at the context length"),
  fits: z.boolean(),
  stage: z
    .enum(["predicted", "screened", "selected", "confirmed"])
    .describe(
      "the dearest evidence that was bought: predicted sizes only, KL on little text, the selection part, the confirmation part",
    ),
  screenKlDivergence: z.object({ mean: z.number(), standardError: z.number(), tokens: z.number() }).optional(),
  quality: qualitySchema.optional(),
  speed: speedSchema.optional(),
  cost: costSchema.optional().describe("what it costs on the device"),
  onFront: z.boolean().default(false),
  verdict: z.enum(["winner", "clears", "fails", "undecided", "does-not-fit", "not-measured", "error"]),
  reason: z.string().describe("one sentence: why it stands where it stands"),
  seconds: z.number().optional(),
});

export const modelRecordSchema = z.object({
  path: z.string(),
  name: z.string().optional(),
  architecture: z.string(),
  sizeBytes: z.number().int(),
  bitsPerWeight: z.number(),
  parametersTotal: z.number(),
  memoryBytes: z.number().int(),
  decodeTokensPerSecond: z.number().nullable(),
  prefillTokensPerSecond: z.number().nullable().optional(),
  quality: qualitySchema.optional(),
  cost: costSchema.optional(),
  sha256: z.string(),
});

export const layerSchema = z.object({
  name: z.string(),
  from: z.string(),
  to: z.string(),
  sizeBytes: z.number().int(),
  fallbackFrom: z.string().optional().describe("the type asked for, where the tensor's rows can't hold it"),
});

export const statisticSchema = z
  .object({
    method: z.string(),
    target: z
      .enum(["task", "population"])
      .describe(
        "task: the verdict is about the cases of the confirmation part. population: about all that are like them",
      ),
    casesInTarget: z.number().int().optional(),
    order: z
      .enum(["adaptive", "uniform"])
      .optional()
      .describe("adaptive: cases that tell candidates apart are more likely"),
    sampling: z.string().optional(),
    alphaPerTry: z.number().describe("chance that one confirmation accepts what is below the bar"),
    tries: z.number().int().describe("confirmations at most"),
    errorRate: z.number().describe("chance of a wrong ACCEPT, over all tries"),
    control: z.string().describe("how the tries are kept within that"),
    stakes: z
      .array(z.object({ share: z.number(), weight: z.number() }))
      .optional()
      .describe("shares of the most that may be staked, and how much of the money plays each"),
    sources: z.array(z.string()),
  })
  .describe("what the verdict rests on");

export const judgeRecordSchema = z
  .object({
    judges: z.array(
      z.object({
        model: z.string().describe("a file, whose hash is among the inputs, or endpoint#model, which has none"),
        kind: z.enum(["file", "endpoint"]),
        rubricSha256: z.string().describe("of the text that says what makes an answer good"),
        grades: z
          .number()
          .int()
          .optional()
          .describe("answers were graded from 1 to this; else compared in both orders"),
      }),
    ),
    cases: z.number().int().describe("answers that were to be judged"),
    unclear: z.number().int().describe("of them those without a clear verdict, which count as not done"),
    order: z
      .object({
        pairs: z.number().int().describe("with a verdict in both orders"),
        agreement: z.number().describe("share of them on which both orders say the same"),
        kappa: z.number().nullable().describe("the same beyond chance; null where all verdicts are one"),
        firstShare: z.number().nullable().describe("share of preferred answers that stood first: 0.5 without bias"),
      })
      .optional(),
  })
  .describe("the models whose opinion the scores rest on, and how steady it was");

export const fileSchema = z.object({
  role: z.string().describe("what it is, such as model, task or evidence"),
  path: z.string().describe("inputs: as the fit was given it; outputs: beside the certificate"),
  sizeBytes: z.number().int(),
  sha256: z.string(),
});

export const signatureSchema = z.object({
  algorithm: z.literal("Ed25519"),
  publicKey: z.string().describe("the signer's key: SubjectPublicKeyInfo, base64"),
  value: z.string().describe("over the canonical form without `signature`, base64"),
});

export const certificateSchema = z.object({
  $schema: z.string().optional(),
  format: z.literal("pare-certificate/1"),
  verdict: verdictSchema,
  reason: z.string().describe("the verdict in one sentence"),
  casesNeeded: z
    .object({
      count: z.number().int(),
      unit: z.enum(["cases", "tokens"]),
      more: z.number().int().optional().describe("so many more than were looked at in the part that decides"),
    })
    .optional()
    .describe("with NEED_MORE: how large the whole task would have to be to settle it, all three parts together"),
  nearestFeasibleBytes: z
    .number()
    .int()
    .optional()
    .describe("with INFEASIBLE: the smallest memory for a model in which something fits"),
  bar: z.object({
    keep: z.number().describe("share of the baseline's quality to keep"),
    metric: z.enum(["perplexityRatio", "score"]),
    confidence: z.number(),
  }),
  statistic: statisticSchema.optional(),
  minimize: z.enum(["size", "latency", "memory"]),
  device: z.object({
    name: z.string(),
    memoryBytes: z.number().int(),
    storageBytes: z.number().int().optional(),
    contextLength: z.number().int(),
  }),
  baseline: modelRecordSchema,
  winner: modelRecordSchema
    .extend({
      candidate: z.string(),
      microBatchSize: z
        .number()
        .int()
        .optional()
        .describe("most tokens to compute at once, so that memory suffices; llama.cpp's --ubatch-size"),
      tensors: z.array(layerSchema),
    })
    .nullable(),
  trials: z.array(trialSchema),
  task: z.object({
    kind: z.enum(["text", "cases"]),
    path: z.string(),
    scorer: z.string().optional(),
    calibration: z.number().int().describe("tokens (text) or cases in the calibration part"),
    selection: z.number().int(),
    confirmation: z.number().int(),
  }),
  judge: judgeRecordSchema.optional(),
  calibration: z.object({ source: z.string(), tokens: z.number().int() }),
  budget: z.object({
    seconds: z.number(),
    secondsUsed: z.number(),
    evaluations: z.number().int(),
    evaluationsUsed: z.number().int(),
  }),
  speedPrediction: z
    .object({
      bandwidthBytesPerSecond: z.number().describe("rate at which the measured models were read, the median"),
      medianErrorShare: z.number().describe("median of |predicted - measured| / measured over the trials measured"),
      measurements: z.number().int(),
    })
    .optional(),
  notes: z.array(z.string()).describe("what the reader should know before trusting the numbers"),
  seed: z.number().int(),
  versions: z.record(z.string(), z.string()),
  hashes: z.record(z.string(), z.string()).describe("SHA-256 of the model, the task and the result"),
  request: z.record(z.string(), z.unknown()).optional().describe("what was asked, with every default filled in"),
  inputs: z.array(fileSchema).optional().describe("every file that the fit read"),
  outputs: z.array(fileSchema).optional().describe("every file that the fit wrote beside the certificate"),
  startedAt: z.string(),
  finishedAt: z.string(),
  seal: z
    .string()
    .optional()
    .describe("SHA-256 of this document in canonical form (RFC 8785) without `seal` and `signature`"),
  signature: signatureSchema.optional(),
});

export type Verdict = z.infer<typeof verdictSchema>;
export type Estimate = z.infer<typeof estimateSchema>;
export type Quality = z.infer<typeof qualitySchema>;
export type TrialRecord = z.infer<typeof trialSchema>;
export type ModelRecord = z.infer<typeof modelRecordSchema>;
export type Certificate = z.infer<typeof certificateSchema>;
