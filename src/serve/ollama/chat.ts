// POST /api/chat: https://github.com/ollama/ollama/blob/main/docs/api.md
import type { TemplateMessage } from "../../evaluate/chat-template.js";
import { readJson, scopeOf, type ServeContext, type Surroundings } from "../context.js";
import { RequestError } from "../failure.js";
import { loadedModel } from "../model-set.js";
import { withToolInstructions } from "../openai/messages.js";
import { traitsOf } from "../route/choose-task.js";
import { toolFormatOf } from "../tools/tool-format.js";
import { questionOf, respond } from "./answers.js";
import { openaiMessages } from "./openai-fields.js";
import { chatRequest, type ChatRequest } from "./schemas.js";

export async function ollamaChat(c: ServeContext, around: Surroundings): Promise<Response> {
  const request = chatRequest.parse(await readJson(c, around));
  const { tools = [], messages = [], format } = request;
  const scope = scopeOf(c, around, {
    model: request.model,
    traits: () => traitsOf(messages, { hasTools: tools.length > 0, wantsJson: format !== undefined }),
  });
  const { chatTemplate } = await loadedModel(scope.model);
  if (messages.length === 0)
    return c.json({ ...loaded(scope.model.name), message: { role: "assistant", content: "" } });
  if (tools.length > 0 && format !== undefined) {
    throw new RequestError(400, "An answer can't be held to a format while it may be a tool call", { param: "format" });
  }
  const conversation = { messages: withToolInstructions(messages.map(templateMessage), tools, chatTemplate), tools };
  const common = questionOf(request);
  const question = {
    ...common,
    asked: { ...common.asked, messages: openaiMessages(messages), ...(tools.length > 0 ? { tools } : {}) },
    prompt: { kind: "conversation" as const, conversation },
    showsControl: tools.length > 0,
    tools:
      tools.length > 0
        ? { format: toolFormatOf(chatTemplate), names: tools.map((tool) => tool.function.name) }
        : undefined,
  };
  return respond(c, scope, question, request.stream ?? true, (content, calls = []) => ({
    message: {
      role: "assistant",
      content,
      ...(calls.length > 0
        ? { tool_calls: calls.map((call) => ({ function: { name: call.name, arguments: call.arguments } })) }
        : {}),
    },
  }));
}

/** A request without a prompt asks for the model to be loaded, which it is. */
export function loaded(model: string): object {
  return { model, created_at: new Date().toISOString(), done: true, done_reason: "load" };
}

function templateMessage({
  role,
  content = "",
  tool_calls,
  tool_name,
}: NonNullable<ChatRequest["messages"]>[number]): TemplateMessage {
  return {
    role,
    content,
    ...(tool_name === undefined ? {} : { name: tool_name }),
    ...(tool_calls === undefined ? {} : { tool_calls: tool_calls.map((call) => ({ type: "function", ...call })) }),
  };
}
