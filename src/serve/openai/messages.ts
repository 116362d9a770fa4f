// Conversations of OpenAI's API as chat templates take them.
import type { TemplateMessage } from "../../evaluate/chat-template.js";
import { RequestError } from "../failure.js";
import { templateKnowsTools, toolInstructions, type ToolDefinition } from "../tools/tool-format.js";
import type { ChatRequest } from "./schemas.js";

type Message = ChatRequest["messages"][number];

/** Contents become texts, arguments of calls become objects, and developers become the system. */
export function templateMessages(messages: readonly Message[]): TemplateMessage[] {
  return messages.map(({ role, content, tool_calls, tool_call_id, name }, i) => ({
    role: role === "developer" ? "system" : role,
    content: textOf(content),
    ...(name === undefined ? {} : { name }),
    ...(tool_call_id === undefined ? {} : { tool_call_id }),
    ...(tool_calls === undefined ? {} : { tool_calls: tool_calls.map((call) => templateCall(call, i)) }),
  }));
}

function templateCall({ id, function: called }: NonNullable<Message["tool_calls"]>[number], index: number): unknown {
  try {
    return {
      id,
      type: "function",
      function: { name: called.name, arguments: JSON.parse(called.arguments || "{}") as unknown },
    };
  } catch {
    throw new RequestError(400, `The arguments of "${called.name}" are no JSON`, {
      param: `messages.${index}.tool_calls`,
    });
  }
}

/** Tells a model of its tools in words where its template can't. */
export function withToolInstructions(
  messages: readonly TemplateMessage[],
  tools: readonly ToolDefinition[],
  template: string | undefined,
): TemplateMessage[] {
  if (tools.length === 0 || templateKnowsTools(template)) return [...messages];
  const instructions = toolInstructions(tools);
  const [first, ...rest] = messages;
  if (first?.role === "system") return [{ ...first, content: `${String(first.content)}\n\n${instructions}` }, ...rest];
  return [{ role: "system", content: instructions }, ...messages];
}

function textOf(content: Message["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map(({ text }) => text).join("\n");
}
