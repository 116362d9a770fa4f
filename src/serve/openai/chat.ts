// POST /v1/chat/completions: https://platform.openai.com/docs/api-reference/chat
import { randomUUID } from "node:crypto";

import { type AnswerPiece, ask, askAll, type Question, type Scope, type WholeAnswer, withSiblings } from "../answer.js";
import { readJson, scopeOf, type ServeContext, type Surroundings } from "../context.js";
import type { LoadedModel, ScoredToken } from "../engine/messages.js";
import { RequestError } from "../failure.js";
import { anyObjectGrammar, schemaToGrammar } from "../grammar/schema-to-grammar.js";
import { loadedModel } from "../model-set.js";
import { type Traits, traitsOf } from "../route/choose-task.js";
import { interleave, streamResponse } from "../stream.js";
import type { ToolCall, ToolDefinition } from "../tools/tool-format.js";
import { toolFormatOf } from "../tools/tool-format.js";
import { toolCallGrammar } from "../tools/tool-grammar.js";
import { sse, sseError } from "./events.js";
import { chatLikelihoods } from "./likelihoods.js";
import { templateMessages, withToolInstructions } from "./messages.js";
import { stopsOf } from "../sampling.js";
import { biasedSamplingOf } from "./sampling.js";
import { chatRequest, type ChatRequest } from "./schemas.js";
import { usageOf } from "./usage.js";

export async function chatCompletions(c: ServeContext, around: Surroundings): Promise<Response> {
  const asked = (await readJson(c, around)) as Record<string, unknown>;
  const request = chatRequest.parse(asked);
  const scope = scopeOf(c, around, {
    model: request.model,
    metadataTask: request.metadata?.task,
    traits: () => traitsOfChat(request),
  });
  const questions = chatQuestions({ request, asked }, await loadedModel(scope.model));
  const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: scope.model.name };
  if (request.stream) {
    const pieces = chatChunks(scope, request, questions, head);
    return streamResponse(c, scope, pieces, { contentType: "text/event-stream", onError: sseError });
  }
  const answers = await askAll(scope, questions);
  const choices = answers.map((answer, index) => chatChoice(answer, index, request));
  return c.json({ ...head, object: "chat.completion", choices, usage: usageOf(answers) });
}

function traitsOfChat({ messages, tools = [], tool_choice: choice, response_format: format }: ChatRequest): Traits {
  const wantsJson = format !== undefined && format.type !== "text";
  return traitsOf(messages, { hasTools: tools.length > 0 && choice !== "none", wantsJson });
}

/** What a request asks of the engine, once for each of its answers. */
function chatQuestions(
  { request, asked }: { request: ChatRequest; asked: Question["asked"] },
  model: LoadedModel,
): Question[] {
  const tools = chosenTools(request);
  const format = toolFormatOf(model.chatTemplate);
  const messages = withToolInstructions(templateMessages(request.messages), tools, model.chatTemplate);
  const conversation = { messages, tools, variables: request.chat_template_kwargs };
  const grammar = grammarOf(request, tools, model);
  return Array.from({ length: request.n ?? 1 }, (_, choice) => ({
    asked,
    prompt: { kind: "conversation" as const, conversation },
    maxTokens: request.max_completion_tokens ?? request.max_tokens,
    stop: stopsOf(request),
    sampling: biasedSamplingOf(request, choice),
    grammar,
    logProbabilities: request.logprobs ? (request.top_logprobs ?? 0) : undefined,
    showsControl: tools.length > 0,
    tools: tools.length > 0 ? { format, names: tools.map(({ function: { name } }) => name) } : undefined,
    streams: request.stream ?? false,
  }));
}

function chosenTools({ tools = [], tool_choice: choice }: ChatRequest): ToolDefinition[] {
  if (choice === "none") return [];
  if (typeof choice !== "object") {
    if (choice === "required" && tools.length === 0)
      throw new RequestError(400, "A tool is required, and there are none", { param: "tools" });
    return tools;
  }
  const chosen = tools.filter(({ function: { name } }) => name === choice.function.name);
  if (chosen.length > 0) return chosen;
  throw new RequestError(400, `There is no tool "${choice.function.name}" to choose`, { param: "tool_choice" });
}

function grammarOf(request: ChatRequest, tools: readonly ToolDefinition[], model: LoadedModel): string | undefined {
  const { response_format: format, tool_choice: choice } = request;
  const isDemanded = choice === "required" || typeof choice === "object";
  if (isDemanded) return toolCallGrammar(tools, toolFormatOf(model.chatTemplate));
  if (format === undefined || format.type === "text") return undefined;
  if (tools.length > 0) {
    throw new RequestError(400, "An answer can't be held to a format while it may be a tool call", {
      param: "response_format",
      hint: 'Set "tool_choice" to "none" or "required"',
    });
  }
  return format.type === "json_object"
    ? anyObjectGrammar()
    : schemaToGrammar(format.json_schema.schema ?? { type: "object" });
}

function chatChoice({ text, calls, reason, tokens }: WholeAnswer, index: number, request: ChatRequest): object {
  const message = {
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    refusal: null,
    ...(calls.length > 0 ? { tool_calls: calls.map(toolCall) } : {}),
  };
  return { index, message, logprobs: request.logprobs ? chatLikelihoods(tokens) : null, finish_reason: reason };
}

function toolCall({ name, arguments: given }: ToolCall): object {
  const id = `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
  return { id, type: "function", function: { name, arguments: JSON.stringify(given) } };
}

async function* chatChunks(
  scope: Scope,
  request: ChatRequest,
  questions: readonly Question[],
  head: object,
): AsyncGenerator<string> {
  const usage = { promptTokens: 0, cachedTokens: 0, answerTokens: 0, draftTokens: 0, draftAccepted: 0 };
  const chunk = (index: number, delta: object, more: { tokens?: ScoredToken[]; reason?: string } = {}): string => {
    const logprobs = request.logprobs && more.tokens?.length ? chatLikelihoods(more.tokens) : null;
    const choice = { index, delta, logprobs, finish_reason: more.reason ?? null };
    return sse({ ...head, object: "chat.completion.chunk", choices: [choice] });
  };
  const { shared, abort } = withSiblings(scope, questions.length);
  const chunksOf = (piece: AnswerPiece, index: number): string => {
    if (piece.kind === "started") {
      usage.promptTokens = piece.promptTokens;
      usage.cachedTokens = piece.cachedTokens;
      return chunk(index, { role: "assistant", content: "" });
    }
    if (piece.kind === "text") return chunk(index, { content: piece.text }, { tokens: piece.tokens });
    if (piece.kind === "calls")
      return chunk(index, { tool_calls: piece.calls.map((call, i) => ({ index: i, ...toolCall(call) })) });
    usage.answerTokens += piece.answerTokens;
    usage.draftTokens += piece.draftTokens ?? 0;
    usage.draftAccepted += piece.draftAccepted ?? 0;
    return chunk(index, {}, { reason: piece.reason });
  };
  async function* choice(question: Question, index: number): AsyncGenerator<string> {
    for await (const piece of ask(shared, question)) yield chunksOf(piece, index);
  }
  yield* interleave(questions.map(choice), abort);
  if (request.stream_options?.include_usage) {
    yield sse({ ...head, object: "chat.completion.chunk", choices: [], usage: usageOf([usage]) });
  }
  yield "data: [DONE]\n\n";
}
