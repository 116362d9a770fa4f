// Answers in Ollama's shape: one JSON document a line, the last with what it took. Times are in nanoseconds.
import { performance } from "node:perf_hooks";

import { ask, askWhole, type Question, type Scope } from "../answer.js";
import type { ServeContext } from "../context.js";
import { failureOf } from "../failure.js";
import { anyObjectGrammar, schemaToGrammar } from "../grammar/schema-to-grammar.js";
import { samplingOf, stopsOf } from "../sampling.js";
import { streamResponse } from "../stream.js";
import type { ToolCall } from "../tools/tool-format.js";
import { openaiFields } from "./openai-fields.js";
import type { Common } from "./schemas.js";

type Options = Partial<NonNullable<Common["options"]>>;

/** How a piece of the answer is written. */
export type Wrap = (text: string, calls?: readonly ToolCall[]) => object;

/** Answers a question, in lines or in one document. */
export async function respond(
  c: ServeContext,
  scope: Scope,
  question: Question,
  stream: boolean,
  wrap: Wrap,
): Promise<Response> {
  if (stream) {
    const onError = (error: unknown): string => line({ error: failureOf(error).message });
    return streamResponse(c, scope, lines(scope, question, wrap), { contentType: "application/x-ndjson", onError });
  }
  const answer = await askWhole(scope, question);
  return c.json({ ...head(scope), ...wrap(answer.text, answer.calls), ...ending(scope, answer.reason) });
}

async function* lines(scope: Scope, question: Question, wrap: Wrap): AsyncGenerator<string> {
  for await (const piece of ask(scope, question)) {
    if (piece.kind === "started") yield ""; // the response may begin
    else if (piece.kind === "text") yield line({ ...head(scope), ...wrap(piece.text), done: false });
    else if (piece.kind === "calls") yield line({ ...head(scope), ...wrap("", piece.calls), done: false });
    else yield line({ ...head(scope), ...wrap(""), ...ending(scope, piece.reason) });
  }
}

function head({ model }: Scope): object {
  return { model: model.name, created_at: new Date().toISOString() };
}

function ending({ record }: Scope, reason: "stop" | "length" | "tool_calls"): object {
  const now = performance.now();
  const firstTextAt = record.firstTextAt ?? now;
  const nanoseconds = (milliseconds: number): number => Math.round(milliseconds * 1e6);
  return {
    done: true,
    done_reason: reason === "tool_calls" ? "stop" : reason,
    total_duration: nanoseconds(now - record.startedAt),
    load_duration: 0,
    prompt_eval_count: record.promptTokens,
    prompt_eval_duration: nanoseconds(firstTextAt - record.startedAt),
    eval_count: record.answerTokens,
    eval_duration: nanoseconds(now - firstTextAt),
  };
}

/** What chat and generate have in common. */
export function questionOf(request: Common): Omit<Question, "prompt"> {
  const { options: given, format, stream } = request;
  const options: Options = given ?? {};
  const { num_predict: predicted } = options;
  return {
    asked: openaiFields(request),
    maxTokens: predicted === undefined || predicted < 0 ? undefined : predicted,
    stop: stopsOf(options),
    sampling: samplingOf(options),
    grammar: format === undefined ? undefined : format === "json" ? anyObjectGrammar() : schemaToGrammar(format),
    streams: stream ?? true,
  };
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
