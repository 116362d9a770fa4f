// What `pull`, `convert` and `export` print with --json: the commands by which models come and go. See `schemas.ts`.
import { z } from "zod";

const sizeBytes = z.number().int().nonnegative();

export const pullSchema = z
  .object({
    path: z.string().describe("the folder of safetensors, or the (first) GGUF file"),
    repository: z.string().describe("`org/name` on the hub, or `ollama:name`"),
    revision: z.string().optional().describe("commit; absent for a model of Ollama's"),
    files: z.array(
      z.object({
        path: z.string(),
        sizeBytes,
        sha256: z.string().optional().describe("of files that are stored outside git, which weights are"),
      }),
    ),
    bytesDownloaded: sizeBytes.describe("0 when all was there"),
    warnings: z.array(z.string()),
  })
  .describe("what `pare pull --json` prints");

export const convertSchema = z
  .object({
    path: z.string(),
    architecture: z.string().describe("model family as llama.cpp spells it, such as `llama`"),
    name: z.string().optional(),
    type: z.string().describe("type of the matrices: `f32`, `f16`, `bf16` or `q8_0`"),
    types: z.record(z.string(), z.number().int()).describe("how many tensors are of each type"),
    tensors: z.number().int(),
    parameters: z.number().int(),
    sizeBytes,
    sha256: z.string(),
    license: z.string().optional().describe("from the model card"),
    source: z.string().optional().describe("page of the model that it is from"),
    revision: z.string().optional().describe("commit that it is from"),
    seconds: z.number(),
    warnings: z.array(z.string()),
  })
  .describe("what `pare convert --json` prints");

const count = z.number().int().nonnegative();

const parity = z
  .object({
    status: z
      .enum(["passed", "failed", "skipped"])
      .describe("passed: the same likeliest token at 99 % of the positions that are no near ties"),
    detail: z.string().describe("what ran the export, or why nothing did"),
    positions: count.describe("of a fixed text that were compared"),
    same: count.describe("with the same likeliest token"),
    nearTies: count.describe("with another, which the model thinks the same within a tenth of a logit"),
    different: count.describe("all others"),
  })
  .describe("the export compared with the model");
const commands = z.array(z.string()).describe("what to do next");

const exportBrowserSchema = z
  .object({
    path: z.string().describe("the folder"),
    files: count,
    sizeBytes,
    chunks: count.describe("pieces of the model"),
    parity,
    commands,
    warnings: z.array(z.string()),
  })
  .describe("what `pare export browser --json` prints");

const exportTransformersSchema = z
  .object({
    path: z.string().describe("the folder"),
    architecture: z.string().describe("the class that loads it, such as `LlamaForCausalLM`"),
    weights: z.enum(["f16", "bf16", "f32", "packed"]),
    matrices: z.record(z.string(), count).describe("matrices of the layers of each kind: `4-bit`, `8-bit`, `f16`, …"),
    sizeBytes: sizeBytes.describe("of the safetensors"),
    tokenizer: z
      .string()
      .nullable()
      .describe("folder that its files were copied from; null when they were restored from the model"),
    parity,
    commands,
    warnings: z.array(z.string()),
  })
  .describe("what `pare export transformers --json` and `pare export vllm --json` print");

const exportDockerSchema = z
  .object({
    path: z.string().describe("the Dockerfile; the compose file and the model are beside it"),
    name: z.string().describe("what requests call the model"),
    commands,
    warnings: z.array(z.string()),
  })
  .describe("what `pare export docker --json` prints");

const exportNodeSchema = z
  .object({
    path: z.string().describe("the program; the model is beside it"),
    commands,
    warnings: z.array(z.string()),
  })
  .describe("what `pare export node --json` prints");

const exportOllamaSchema = z
  .object({
    path: z.string().describe("the Modelfile"),
    model: z.string().describe("the GGUF file beside it"),
    hasTemplate: z.boolean().describe("false leaves Ollama to recognize the chat template"),
    conversationsCompared: z
      .number()
      .int()
      .describe("conversations on which the template gave the text of the model's own; 0 without one"),
    stop: z.array(z.string()).describe("stop words"),
    parity,
    commands,
    warnings: z.array(z.string()),
  })
  .describe("what `pare export ollama --json` prints");

/** The documents of `pare export`, one per runtime. */
export const EXPORT_DOCUMENTS = {
  "export-ollama": exportOllamaSchema,
  "export-browser": exportBrowserSchema,
  "export-transformers": exportTransformersSchema,
  "export-docker": exportDockerSchema,
  "export-node": exportNodeSchema,
} as const;
