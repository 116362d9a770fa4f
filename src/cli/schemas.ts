// Every document that `--json` prints, as a schema. `schemas/*.schema.json` and docs/json.md are generated from here.
// Fields keep their names and meanings; new ones may be added. Not loaded when a command runs.
import { z } from "zod";

import { cascadeSchema } from "../fit/cascade/cascade-file.js";
import { certificateSchema } from "../fit/certificate.js";
import { calibrationFactsSchema } from "./calibration-facts-schema.js";
import { costDocumentSchema } from "./cost-schema.js";
import { compareSchema } from "./compare-schema.js";
import { evalTaskSchema, evalTextSchema, rate, suiteSchema } from "./eval-schemas.js";
import { EXPORT_DOCUMENTS, convertSchema, pullSchema } from "./exchange-schemas.js";
import { serveSchema, studioSchema } from "./serve-schema.js";
import { LEARNING_DOCUMENTS } from "./learning-schemas.js";
import { verifySchema } from "./verify-schema.js";

const sizeBytes = z.number().int().nonnegative();

const perLayer = z.union([z.number().int(), z.array(z.number().int())]);
const metadataValue = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.array(z.unknown()),
  z.object({ elementType: z.string(), length: z.number().int() }),
]);

export const inspectSchema = z
  .object({
    path: z.string(),
    architecture: z.string().describe("model family as llama.cpp spells it, such as `llama`"),
    name: z.string().optional(),
    parametersTotal: z.number().int().describe("parameters of all tensors"),
    parametersActive: z.number().int().describe("parameters that take part in one token; fewer than all with experts"),
    sizeBytes: sizeBytes.describe("bytes of the file, header included; of a split one all parts together"),
    bitsPerWeight: z.number().describe("bits of the tensors per parameter"),
    contextLength: z.number().int().describe("tokens that the model was trained for"),
    kvCacheBytesPerToken: z.number().describe("bytes of KV cache per token at f16"),
    layers: z.number().int(),
    embeddingLength: z.number().int(),
    heads: perLayer.describe("attention heads per layer; one number where all layers agree"),
    kvHeads: perLayer.describe("heads of keys and values per layer; one number where all layers agree"),
    experts: z.number().int().describe("0 for a dense model"),
    expertsUsed: z.number().int(),
    vocabularySize: z.number().int(),
    tiedEmbeddings: z.boolean().describe("true when the token embedding is the output layer too"),
    slidingWindow: z.number().int().optional().describe("tokens that windowed layers look back"),
    fileType: z.number().int().optional().describe("`general.file_type`: the number of llama.cpp's preset"),
    quantizedBy: z.string().optional(),
    types: z
      .record(z.string(), z.number().int())
      .describe("how many tensors are of each type, the most frequent first"),
    tensors: z.array(
      z.object({
        name: z.string(),
        shape: z.array(z.number().int()).describe("elements per dimension in ggml order, the row's length first"),
        type: z.string().describe("ggml type in ggml's spelling, such as `q4_K`"),
        sizeBytes,
      }),
    ),
    metadata: z
      .record(z.string(), metadataValue)
      .describe("every key; long arrays by their length only, integers beyond 2^53 as strings"),
  })
  .describe("what `pare inspect --json` prints");

const tensorOutcomeSchema = z.object({
  name: z.string(),
  shape: z.array(z.number().int()),
  from: z.string().describe("the type it had"),
  type: z.string(),
  fallbackFrom: z.string().optional().describe("the type that was meant, where the row length did not allow it"),
  because: z.string().describe("why it has this type, as one phrase"),
  sizeBytes,
});

const cacheSchema = z.object({
  typeK: z.string().describe("ggml type of the keys"),
  typeV: z.string().describe("ggml type of the values"),
  sizeBytes,
  contextLength: z.number().int().describe("tokens that it holds"),
  divergence: z
    .object({
      mean: z.number().describe("nats per token"),
      standardError: z.number(),
      tokens: z.number().int().describe("scored tokens; 0 for f16, which the others are compared with"),
      contextLength: z
        .number()
        .int()
        .describe("tokens per window that was measured on; over a longer context a cache may cost more"),
    })
    .describe("KL divergence of the full-precision model with this cache from itself with one in f16"),
});

export const quantizeSchema = z
  .object({
    sizeBytes: sizeBytes.describe("size of the file, with --dry-run of the one that would be written"),
    bitsPerWeight: z.number(),
    seconds: z.number(),
    types: z.record(z.string(), z.number().int()).describe("how many tensors became each type"),
    tensors: z.array(tensorOutcomeSchema),
    sha256: z.string().optional().describe("of the file written, with --sha256"),
    warnings: z.array(z.string()).describe("what will keep the engine from running it, or costs quality"),
    cache: cacheSchema.optional().describe("the KV cache, with --kv-cache or a device; else it stays in f16"),
    calibration: calibrationFactsSchema
      .optional()
      .describe("with --calibrate; with --dry-run only what the table foresees"),
  })
  .describe("what `pare quantize --json` prints");

const layerSimilaritySchema = z.object({
  layer: z.number().int(),
  cosine: z.number().describe("mean cosine between the block's input and output"),
  blockInfluence: z.number().describe("1 − cosine: what the block contributes"),
  tokens: z.number().int(),
});

const expertUseSchema = z.object({
  weight: z.string().describe("the first weight of the layer's experts"),
  tokensPerExpert: z.array(z.number()),
  tokensTotal: z.number(),
  expertsUnused: z.number().int(),
});

export const calibrateSchema = z
  .object({
    output: z.string().optional().describe("the importance file"),
    weights: z.number().int().describe("weights that have importance data"),
    contextLength: z.number().int().describe("tokens per window"),
    windows: z.number().int(),
    tokens: z.number().int(),
    seconds: z.number().describe("computing time, without loading the model"),
    experts: z.array(expertUseSchema).optional().describe("with --experts"),
    similarity: z.array(layerSimilaritySchema).optional().describe("with --similarity"),
    hessians: z.object({ path: z.string(), weights: z.number().int() }).optional().describe("with --hessians"),
    warnings: z.array(z.string()).describe("what may make the statistics less useful"),
  })
  .describe("what `pare calibrate --json` prints");

export const chatSchema = z
  .object({
    model: z.string(),
    prompt: z.string(),
    text: z.string().describe("the answer, without the prompt"),
    reason: z.string().describe("why it ended, such as `length`"),
    promptTokens: z.number().int(),
    prefillTokens: z.number().int().describe("prompt tokens that were computed; the rest was in the cache"),
    answerTokens: z.number().int(),
    prefillTokensPerSecond: rate,
    decodeTokensPerSecond: rate,
  })
  .describe("what `pare chat --prompt --json` prints");

export const doctorSchema = z
  .object({
    ok: z.boolean().describe("true when no check failed; the exit code is 1 otherwise"),
    checks: z.array(
      z.object({
        name: z.string(),
        status: z.enum(["ok", "warn", "fail"]),
        found: z.string(),
        hint: z.string().nullable().describe("what to change, where something is to be changed"),
      }),
    ),
    platform: z.string().describe("platform and architecture as Node spells them, such as `linux-x64`"),
    backend: z.enum(["cpu", "cuda", "vulkan", "metal"]).nullable().describe("null when no engine could be loaded"),
    cpuLibrary: z.string().nullable().describe("the CPU library that the engine chose for this processor"),
    devices: z.array(
      z.object({
        name: z.string(),
        description: z.string(),
        kind: z.enum(["cpu", "gpu", "igpu", "accelerator"]),
        memoryFreeBytes: sizeBytes,
        memoryTotalBytes: sizeBytes,
      }),
    ),
    backendsInstalled: z.array(z.string()).describe("backends whose package is installed, best first"),
    threads: z.number().int().describe("threads used by default: physical cores that the process may use"),
    memoryTotalBytes: sizeBytes,
    memoryFreeBytes: sizeBytes,
    diskFreeBytes: sizeBytes.describe("on the disk of the current folder"),
    versions: z.record(z.string(), z.string()),
  })
  .describe("what `pare doctor --json` prints");

export const completionSchema = z
  .object({ shell: z.enum(["bash", "zsh", "fish"]), script: z.string() })
  .describe("what `pare completion --json` prints");

export const errorSchema = z
  .object({
    error: z.object({
      message: z.string().describe("what is and what was wanted"),
      hint: z.string().nullable().describe("what to try next"),
    }),
  })
  .describe("what any command prints with --json when it fails, with exit code 1 or 2 (130 or 143 when interrupted)");

/** The documents by name: `schemas/<name>.schema.json`. */
export const DOCUMENTS = {
  inspect: inspectSchema,
  pull: pullSchema,
  convert: convertSchema,
  quantize: quantizeSchema,
  calibrate: calibrateSchema,
  "eval-text": evalTextSchema,
  "eval-task": evalTaskSchema,
  suite: suiteSchema,
  compare: compareSchema,
  certificate: certificateSchema.describe("what `pare fit --json` prints and `certificate.json` holds"),
  cascade: cascadeSchema,
  ...LEARNING_DOCUMENTS,
  verify: verifySchema,
  cost: costDocumentSchema,
  chat: chatSchema,
  serve: serveSchema,
  studio: studioSchema,
  doctor: doctorSchema,
  ...EXPORT_DOCUMENTS,
  completion: completionSchema,
  error: errorSchema,
} as const;

/** A document's JSON Schema (2020-12). Unknown fields are allowed, since later versions may add some. */
export function documentSchema(name: keyof typeof DOCUMENTS): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(DOCUMENTS[name], {
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      // The bounds of safe integers say nothing about the field.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return { $schema, $id: `${name}.schema.json`, title: name, ...(rest as Record<string, unknown>) };
}
