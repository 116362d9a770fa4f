// Requests of Ollama's API, as far as they are served.
import { z } from "zod";

import { toolSchema } from "../openai/schemas.js";

const optional = <T extends z.ZodType>(type: T) => type.nullish().transform((value) => value ?? undefined);
const noImages = optional(z.array(z.unknown()).max(0, "images can't be read here"));

/** Of Ollama's options those that concern an answer; the others concern how Ollama runs a model. */
const options = optional(
  z.object({
    temperature: optional(z.number().min(0).max(100)),
    top_k: optional(z.int().min(0)),
    top_p: optional(z.number().min(0).max(1)),
    min_p: optional(z.number().min(0).max(1)),
    repeat_penalty: optional(z.number().positive().max(10)),
    repeat_last_n: optional(z.int().min(-1)),
    frequency_penalty: optional(z.number().min(-2).max(2)),
    presence_penalty: optional(z.number().min(-2).max(2)),
    seed: optional(z.int()),
    num_predict: optional(z.int().min(-2)),
    stop: optional(z.union([z.string().min(1), z.array(z.string().min(1)).max(16)])),
  }),
);

const common = {
  model: z.string(),
  stream: optional(z.boolean()),
  /** `json`, or a JSON Schema. */
  format: optional(
    z.union([z.literal("json"), z.literal("").transform(() => undefined), z.record(z.string(), z.unknown())]),
  ),
  options,
};

const message = z.object({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: optional(z.string()),
  images: noImages,
  tool_name: optional(z.string()),
  tool_calls: optional(
    z.array(z.object({ function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }) })),
  ),
});

export const chatRequest = z.object({
  ...common,
  messages: optional(z.array(message)),
  tools: optional(z.array(toolSchema).max(128)),
});
export type ChatRequest = z.infer<typeof chatRequest>;

export const generateRequest = z.object({
  ...common,
  prompt: optional(z.string()),
  system: optional(z.string()),
  raw: optional(z.boolean()),
  images: noImages,
  suffix: optional(z.literal("", "filling in before a suffix can't be done here")),
  template: optional(z.literal("", "the template is the model's own here")),
});
export type GenerateRequest = z.infer<typeof generateRequest>;

export const embedRequest = z.object({
  model: z.string(),
  input: z.union([z.string(), z.array(z.string()).max(2048)]),
  dimensions: z.undefined("fewer dimensions can't be served here").optional(),
});

export const embeddingsRequest = z.object({ model: z.string(), prompt: z.string() });

export const showRequest = z.object({ model: optional(z.string()), name: optional(z.string()) });

export type Common = Pick<ChatRequest, "options" | "format" | "stream">;
