// A request of Ollama's API in the names of OpenAI's, for a cascade whose large model is on a server that speaks that.
import type { ChatRequest, Common } from "./schemas.js";

type Message = NonNullable<ChatRequest["messages"]>[number];

/** Options are OpenAI's fields but for the length, which -1 and -2 leave open. */
export function openaiFields({ options, format }: Common): Record<string, unknown> {
  const { num_predict: predicted, ...same } = options ?? {};
  return {
    ...same,
    ...(predicted === undefined || predicted < 0 ? {} : { max_tokens: predicted }),
    ...(format === undefined ? {} : { response_format: responseFormat(format) }),
  };
}

function responseFormat(format: NonNullable<Common["format"]>): object {
  if (format === "json") return { type: "json_object" };
  return { type: "json_schema", json_schema: { name: "answer", schema: format } };
}

/** Calls get numbers, which their results refer to, in the order of both. */
export function openaiMessages(messages: readonly Message[]): object[] {
  let calls = 0;
  let results = 0;
  return messages.map(({ role, content = "", tool_calls }) => {
    if (role === "tool") return { role, content, tool_call_id: `call_${results++}` };
    if (tool_calls === undefined) return { role, content };
    const numbered = tool_calls.map(({ function: { name, arguments: given } }) => ({
      id: `call_${calls++}`,
      type: "function",
      function: { name, arguments: JSON.stringify(given) },
    }));
    return { role, content, tool_calls: numbered };
  });
}
