// Every document that `--json` prints, as a schema. `schemas/*.schema.json` and docs/json.md are generated from here.
// Fields keep their names and meanings; new ones may be added. Not loaded when a command runs.
import { z } from "zod";

import { certificateSchema } from "../fit/certificate.js";
import { convertSchema, exportOllamaSchema, pullSchema } from "./exchange-schemas.js";
import { calibrationFactsSchema } from "./calibration-facts-schema.js";
import { adaptSchema, trainSchema } from "./train-schema.js";
import { verifySchema } from "./verify-schema.js";

const sizeBytes = z.number().int().nonnegative();
const share = z.number().min(0).max(1);

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

const meanWithError = z.object({ mean: z.number(), standardError: z.number() });
const perplexity = meanWithError.extend({
  standardErrorIfIndependent: z.number().describe("as llama-perplexity prints it: tokens taken as independent"),
});

const divergence = perplexity.extend({
  median: z.number(),
  medianStandardError: z.number(),
  p99: z.number().describe("99th percentile"),
  p99StandardError: z.number(),
  minimum: z.number(),
  p5: z.number(),
  p90: z.number(),
  p95: z.number(),
  maximum: z.number(),
});

const probabilityChange = meanWithError.extend({
  rootMeanSquare: z.number(),
  rootMeanSquareStandardError: z.number(),
  minimum: z.number(),
  p1: z.number(),
  p5: z.number(),
  p25: z.number(),
  median: z.number(),
  p75: z.number(),
  p95: z.number(),
  p99: z.number(),
  maximum: z.number(),
});

const windowSums = z.object({
  window: z.number().int().describe("its number in the text, from 0"),
  tokens: z.number().int(),
  negativeLogLikelihood: z.number(),
  baselineNegativeLogLikelihood: z.number().optional(),
  klDivergence: z.number().optional(),
});

export const evalTextSchema = z
  .object({
    model: z.string(),
    baseline: z.object({ name: z.string(), sizeBytes, sha256: z.string() }).optional(),
    contextLength: z.number().int().describe("tokens per window"),
    tokens: z.number().int().describe("scored tokens"),
    perplexity: perplexity.describe("exp of the mean of −ln p(token); the standard error is taken between windows"),
    baselinePerplexity: perplexity.optional(),
    perplexityRatio: z
      .object({ mean: z.number(), low: z.number(), high: z.number() })
      .optional()
      .describe("baseline perplexity ÷ this model's, paired by window, with its 95 % interval; absent with one window"),
    logPerplexityRatio: meanWithError.optional().describe("ln(this model's perplexity ÷ the baseline's)"),
    klDivergence: divergence.optional().describe("KL(baseline ‖ model) per token, in nats; with --against"),
    sameTopRate: share
      .optional()
      .describe("share of tokens after which both models' likeliest token is the same; with --against"),
    sameTopRateStandardError: z.number().optional(),
    probabilityChange: probabilityChange
      .optional()
      .describe("this model's minus the baseline's probability of the text's next token; with --against"),
    windows: z.array(windowSums).describe("sums over each window's scored tokens, in nats"),
    repack: z.boolean().describe("weights rearranged for speed, which changes some types' results a little"),
    seconds: z.record(z.string(), z.number()),
    tokensPerSecond: z.number().describe("tokens run through the model per second, unscored ones included"),
  })
  .describe("what `pare eval --text --json` prints");

const score = z.object({ mean: share, low: share, high: share });
const rate = z.number().nullable().describe("tokens per second; null where nothing was measured");

const calibrationSchema = z
  .object({
    cases: z.number().int(),
    expectedCalibrationError: share.describe("mean distance of confidence and score, over ten bins of confidence"),
    brierScore: z.number().describe("mean squared error of the probabilities of all choices: 0 perfect, 2 the worst"),
    bins: z.array(z.object({ low: share, high: share, cases: z.number().int(), confidence: share, score: share })),
    abstention: z
      .array(z.object({ coverage: share, confidence: share, score: share }))
      .describe("the score if only the surest share of the cases is answered"),
  })
  .describe("how far the model's confidence can be trusted; where all cases are choices with a known answer");

const faultyCaseSchema = z.object({ id: z.string(), line: z.number().int(), reason: z.string() });

const caseResultSchema = z.object({
  id: z.string(),
  score: share.nullable().describe("null where the answer can't be scored"),
  answer: z.string(),
  explanation: z.string().optional().describe("why the score is not 1"),
  tags: z.array(z.string()),
  ended: z.string().describe("why the answer ended; `chosen` for a choice"),
  promptTokens: z.number().int(),
  answerTokens: z.number().int(),
  prefillMs: z.number(),
  decodeTokensPerSecond: rate,
  logLikelihoods: z.array(z.number()).optional().describe("for choices: ln p of each, normalized as the case asks"),
});

export const evalTaskSchema = z
  .object({
    model: z.string(),
    task: z.object({ name: z.string(), path: z.string(), sha256: z.string() }),
    score: score.nullable().describe("mean score of the cases with its 95 % confidence interval"),
    cases: z.number().int().describe("cases that were scored"),
    tags: z
      .record(z.string(), score.extend({ cases: z.number().int() }))
      .describe("the same for the cases of each tag"),
    worstTag: score
      .extend({ tag: z.string(), cases: z.number().int() })
      .optional()
      .describe("the tag with the lowest score; its interval holds for all tags at once (Bonferroni)"),
    calibration: calibrationSchema.optional(),
    failures: z
      .array(z.object({ id: z.string(), expected: z.string(), answer: z.string(), explanation: z.string() }))
      .describe("cases that did not get the full score"),
    unscored: z
      .array(z.object({ id: z.string(), answer: z.string(), explanation: z.string() }))
      .describe("answers that could not be judged; they count neither for nor against"),
    contradictions: z
      .array(faultyCaseSchema)
      .optional()
      .describe("cases that ask the same and expect different answers"),
    excluded: z.array(faultyCaseSchema).optional().describe("faulty cases that were left out, with --exclude-faulty"),
    perCase: z.array(caseResultSchema),
    speed: z.object({
      seconds: z.number(),
      promptTokens: z.number().int(),
      answerTokens: z.number().int(),
      prefillTokensPerSecond: rate,
      decodeTokensPerSecond: rate,
    }),
    baseline: z
      .object({ model: z.string(), score: score.nullable(), cases: z.number().int() })
      .optional()
      .describe("what the baseline scored on the same cases; with --against"),
  })
  .describe("what `pare eval --task --json` prints");

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

export const serveSchema = z
  .object({
    url: z.string().describe("where the server listens"),
    models: z.array(
      z.object({
        name: z.string().describe("what requests call it"),
        contextLength: z.number().int().describe("tokens of one conversation at most"),
        parallel: z.number().int().describe("answers at once"),
        kvCacheBytes: sizeBytes.describe("bytes of all conversations' caches, set up at the start"),
      }),
    ),
  })
  .describe("what `pare serve --json` prints when it listens");

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
  certificate: certificateSchema.describe("what `pare fit --json` prints and `certificate.json` holds"),
  train: trainSchema,
  adapt: adaptSchema,
  verify: verifySchema,
  chat: chatSchema,
  serve: serveSchema,
  doctor: doctorSchema,
  "export-ollama": exportOllamaSchema,
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
