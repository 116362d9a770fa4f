// The large model of a cascade on another server: answers and vectors in the shapes that the server's own models give.
import { z } from "zod";

import type { Endpoint } from "../../fit/cascade/cascade-file.js";
import type { AnswerPiece, Scope } from "../answer.js";
import type { PromptInput } from "../engine/messages.js";
import type { ToolCall } from "../tools/tool-format.js";
import { callEndpoint } from "./call-endpoint.js";
import type { EndpointRequest } from "./endpoint-request.js";

const callSchema = z.looseObject({
  function: z.looseObject({
    name: z.string(),
    arguments: z
      .string()
      .transform((text) => JSON.parse(text || "{}") as unknown)
      .pipe(z.record(z.string(), z.unknown())),
  }),
});

const answerSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        finish_reason: z.string().nullish(),
        message: z.looseObject({ content: z.string().nullish(), tool_calls: z.array(callSchema).nullish() }).optional(),
        text: z.string().optional(),
      }),
    )
    .min(1),
  usage: z.looseObject({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
});

const vectorsSchema = z.looseObject({
  data: z.array(z.looseObject({ index: z.int(), embedding: z.array(z.number()).min(1) })),
  usage: z.looseObject({ prompt_tokens: z.number() }).nullish(),
});

/** Asks the endpoint for a whole answer. @throws {RequestError} as `callEndpoint` does, before the first piece */
export async function* askEndpoint(
  endpoint: Endpoint,
  scope: Scope,
  request: EndpointRequest,
): AsyncGenerator<AnswerPiece> {
  const { choices, usage } = await callEndpoint(endpoint, { ...request, answer: answerSchema, signal: scope.signal });
  const { finish_reason: reason, message, text } = choices[0]!;
  const calls = (message?.tool_calls ?? []).map((call): ToolCall => call.function);
  const [promptTokens, answerTokens] = [usage?.prompt_tokens ?? 0, usage?.completion_tokens ?? 0];
  scope.record.noteStarted(promptTokens, 0);
  scope.record.noteText();
  scope.record.noteEnded({ answerTokens });
  yield { kind: "started", promptTokens, cachedTokens: 0 };
  const said = message?.content ?? text ?? "";
  if (said !== "") yield { kind: "text", text: said, tokens: [] };
  if (calls.length > 0) yield { kind: "calls", calls };
  const ending = calls.length > 0 ? "tool_calls" : "stop";
  yield { kind: "ended", reason: reason === "length" ? "length" : ending, answerTokens };
}

/** Asks the endpoint for a vector of each input. @throws {RequestError} as `callEndpoint` does */
export async function embedAtEndpoint(
  endpoint: Endpoint,
  inputs: readonly PromptInput[],
  signal: AbortSignal,
): Promise<{ vectors: Float32Array[]; tokens: number }> {
  if (inputs.length === 0) return { vectors: [], tokens: 0 };
  const input = inputs.map((one) => (one.kind === "tokens" ? one.tokens : one.kind === "text" ? one.text : ""));
  const answer = vectorsSchema.refine(({ data }) => data.length === inputs.length, "is not one vector for each input");
  const { data, usage } = await callEndpoint(endpoint, { path: "/embeddings", body: { input }, answer, signal });
  const sorted = data.sort((a, b) => a.index - b.index);
  return { vectors: sorted.map(({ embedding }) => Float32Array.from(embedding)), tokens: usage?.prompt_tokens ?? 0 };
}
