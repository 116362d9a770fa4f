// Requests of OpenAI's API, as far as they are served. Fields that would change an answer and can't be served are refused; others
// that are unknown are let pass, as clients send many.
import { z } from "zod";

const refused = (what: string) => z.undefined(`${what} can't be served here`).nullish();
const optional = <T extends z.ZodType>(type: T) => type.nullish().transform((value) => value ?? undefined);

const textPart = z.object({
  type: z.enum(["text", "input_text"], "only text can be read here, no images, sound or files"),
  text: z.string(),
});
const content = z.union([z.string(), z.array(textPart)], "must be a text, or parts of type text");

const toolCall = z.object({
  id: optional(z.string()),
  type: optional(z.literal("function")),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

const message = z.object({
  role: z.enum(["system", "developer", "user", "assistant", "tool"]),
  content: content.nullish(),
  name: optional(z.string()),
  tool_calls: optional(z.array(toolCall)),
  tool_call_id: optional(z.string()),
});

/** A function that may be called. */
export const toolSchema = z.object({
  type: z.literal("function"),
  function: z.object({
    name: z.string().regex(/^[\w.-]{1,64}$/, "must be 1 to 64 letters, digits, _, - or ."),
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
  }),
});

/** Notes of the client's; a task in them says which model answers, where there are routes. */
const metadata = optional(z.looseObject({ task: optional(z.string()) }));

const sampling = {
  model: optional(z.string()),
  metadata,
  temperature: optional(z.number().min(0).max(100)),
  top_p: optional(z.number().min(0).max(1)),
  top_k: optional(z.int().min(0)),
  min_p: optional(z.number().min(0).max(1)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  presence_penalty: optional(z.number().min(-2).max(2)),
  repeat_penalty: optional(z.number().positive().max(10)),
  seed: optional(z.int()),
  logit_bias: optional(
    z.record(z.string().regex(/^\d{1,9}$/, "keys must be token numbers"), z.number().min(-100).max(100)),
  ),
  stop: optional(z.union([z.string().min(1), z.array(z.string().min(1)).max(16)])),
  n: optional(z.int().min(1).max(16)),
  stream: optional(z.boolean()),
  stream_options: optional(z.object({ include_usage: optional(z.boolean()) })),
  max_tokens: optional(z.int().min(0)),
};

/** What a response must look like. */
const responseFormat = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({ name: optional(z.string()), schema: z.unknown() }),
  }),
]);

export const chatRequest = z.object({
  ...sampling,
  messages: z.array(message).min(1),
  max_completion_tokens: optional(z.int().min(1)),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(z.int().min(0).max(20)),
  tools: optional(z.array(toolSchema).max(128)),
  tool_choice: optional(
    z.union([
      z.enum(["none", "auto", "required"]),
      z.object({ type: z.literal("function"), function: z.object({ name: z.string() }) }),
    ]),
  ),
  response_format: optional(responseFormat),
  /** Variables of the model's template, as other servers name it. */
  chat_template_kwargs: optional(z.record(z.string(), z.unknown())),
  functions: refused('"functions", which "tools" replaced,'),
  function_call: refused('"function_call", which "tool_choice" replaced,'),
  audio: refused("Sound"),
  web_search_options: refused("Searching the web"),
});

export type ChatRequest = z.infer<typeof chatRequest>;

export const completionRequest = z.object({
  ...sampling,
  prompt: z.union([
    z.string(),
    z.array(z.string()).min(1),
    z.array(z.int()).min(1),
    z.array(z.array(z.int()).min(1)).min(1),
  ]),
  logprobs: optional(z.int().min(0).max(20)),
  echo: optional(z.boolean()),
  best_of: optional(z.literal(1)),
  suffix: z.literal("", "filling in before a suffix can't be done here").nullish(),
});

export type CompletionRequest = z.infer<typeof completionRequest>;

export const embeddingRequest = z.object({
  model: optional(z.string()),
  metadata,
  input: z.union([
    z.string().min(1),
    z.array(z.string().min(1)).min(1).max(2048),
    z.array(z.int()).min(1),
    z.array(z.array(z.int()).min(1)).min(1).max(2048),
  ]),
  encoding_format: optional(z.enum(["float", "base64"])),
  dimensions: refused("Fewer dimensions"),
});

export type Sampling = { [K in keyof typeof sampling]?: z.infer<(typeof sampling)[K]> };
