// The table of what was measured of one model: layer errors by tensor and type, divergences of single substitutions, of
// whole mixes and of KV-cache types. Another size is solved from it without running the model. Field names are stable.
import { z } from "zod";

import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";

export const MEASUREMENTS_FORMAT = "pare-measurements";
export const MEASUREMENTS_VERSION = 1;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "wanted a SHA-256 in lower-case hex");
const count = z.number().int().nonnegative();
const ggmlType = z.enum(Object.keys(GGML_TYPES) as [GgmlType, ...GgmlType[]]);

/** KL divergence from the full-precision model, nats per token. */
export const divergenceSchema = z.object({
  mean: z.number(),
  standardError: z.number().nonnegative(),
  tokens: count.describe("scored tokens"),
  p99: z.number().optional().describe("99th percentile over tokens"),
  sameTopRate: z.number().optional().describe("share of tokens with the same most likely next token"),
});

const textsSchema = z.object({
  texts: z.array(z.object({ name: z.string(), sha256 })),
  contextLength: count.describe("tokens per window"),
  windows: count.describe("windows used, at most"),
});

export const roundedSchema = z.object({
  layerError: z
    .number()
    .nonnegative()
    .optional()
    .describe("tr((W−Q) H (W−Q)ᵀ) / tr(W H Wᵀ) of the tensor rounded to this type"),
  divergence: divergenceSchema.optional().describe("with this tensor alone rounded"),
});

export const measurementsSchema = z.object({
  format: z.literal(MEASUREMENTS_FORMAT),
  version: z.literal(MEASUREMENTS_VERSION),
  source: z.object({
    sha256: sha256.describe("of the model's file; of a split one, of all parts one after another"),
    name: z.string().optional(),
    sizeBytes: count,
  }),
  calibration: textsSchema.describe("what the Hessians come from"),
  evaluation: textsSchema.describe("what divergences are measured on; no part of the calibration texts"),
  rounding: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .describe("how tensors were rounded, such as effort"),
  seeds: z.record(z.string(), z.number().int()),
  versions: z.record(z.string(), z.string()).describe("of Pare and of the engine"),
  tensors: z.record(
    z.string(),
    z.object({
      type: ggmlType.describe("in the source"),
      shape: z.array(z.number().int().positive()).min(1).max(4),
      types: z.partialRecord(ggmlType, roundedSchema),
    }),
  ),
  mixes: z
    .array(
      z.object({
        types: z.record(z.string(), ggmlType).describe("of the tensors that differ from the source"),
        sizeBytes: count,
        predicted: z.number().nonnegative().describe("divergence that the sum of its parts comes to"),
        divergence: divergenceSchema,
      }),
    )
    .describe("whole mixes that were measured"),
  kvCache: z.array(z.object({ contextLength: count, typeK: ggmlType, typeV: ggmlType, divergence: divergenceSchema })),
});

/** The table of one model. */
export type Measurements = z.output<typeof measurementsSchema>;
/** What is known of one tensor in one type. */
export type Rounded = z.output<typeof roundedSchema>;
export type Divergence = z.output<typeof divergenceSchema>;
