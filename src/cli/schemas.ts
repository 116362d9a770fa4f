// Every document that `--json` prints, as a schema. `schemas/*.schema.json` and docs/json.md are generated from here.
// Fields keep their names and meanings; new ones may be added. Not loaded when a command runs.
import { z } from "zod";

import { certificateSchema } from "../fit/certificate.js";

const sizeBytes = z.number().int().nonnegative();
const share = z.number().min(0).max(1);

export const inspectSchema = z
  .object({
    architecture: z.string().describe("model family as llama.cpp spells it, such as `llama`"),
    parametersTotal: z.number().int(),
    parametersActive: z.number().int().describe("parameters that one token uses; less than the total with experts"),
    sizeBytes: sizeBytes.describe("size of the file, of all parts of a split one"),
    bitsPerWeight: z.number().describe("bits of the tensors per parameter"),
    tensors: z.array(
      z.object({
        name: z.string(),
        shape: z.array(z.number().int()).describe("elements per dimension in ggml order, the row's length first"),
        type: z.string().describe("ggml type in ggml's spelling, such as `q4_K`"),
        sizeBytes,
      }),
    ),
    contextLength: z.number().int().describe("tokens that the model was trained for"),
    kvCacheBytesPerToken: z.number().describe("bytes of KV cache per token at f16"),
  })
  .describe("what `pare inspect --json` prints");

const assignedTensorSchema = z.object({
  name: z.string(),
  type: z.string(),
  fallbackFrom: z.string().optional().describe("the type asked for, where the tensor's rows can't hold it"),
  sizeBytes,
});

export const quantizeSchema = z
  .object({
    sizeBytes: sizeBytes.describe("size of the file, with --dry-run of the one that would be written"),
    bitsPerWeight: z.number(),
    seconds: z.number(),
    types: z.record(z.string(), z.number().int()).describe("how many tensors became each type"),
    tensors: z.array(assignedTensorSchema),
    sha256: z.string().optional().describe("of the file written; absent with --dry-run"),
  })
  .describe("what `pare quantize --json` prints");

export const evalTextSchema = z
  .object({
    perplexity: z.object({ mean: z.number(), standardError: z.number() }),
    klDivergence: z
      .object({ mean: z.number(), standardError: z.number(), median: z.number(), p99: z.number() })
      .optional()
      .describe("from the baseline's distribution, in nats per token; with --against"),
    sameTopRate: share
      .optional()
      .describe("share of tokens for which both think the same token likeliest; with --against"),
    tokens: z.number().int().describe("scored tokens"),
  })
  .describe("what `pare eval --text --json` prints");

export const evalTaskSchema = z
  .object({
    score: z.object({ mean: share, low: share, high: share }).describe("mean score with its 95 % confidence interval"),
    cases: z.number().int().describe("cases that were scored"),
    failures: z.array(z.looseObject({ id: z.string() })).describe("cases that did not get the full score"),
  })
  .describe("what `pare eval --task --json` prints");

export const calibrateSchema = z.looseObject({}).describe("what `pare calibrate --json` prints");

export const chatSchema = z.looseObject({ text: z.string() }).describe("what `pare chat --prompt --json` prints");

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
  quantize: quantizeSchema,
  calibrate: calibrateSchema,
  "eval-text": evalTextSchema,
  "eval-task": evalTaskSchema,
  certificate: certificateSchema.describe("what `pare fit --json` prints and `certificate.json` holds"),
  chat: chatSchema,
  doctor: doctorSchema,
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
