// One answer, as both APIs need it: text that grows, tool calls, an end, and what it took.
import { setMaxListeners } from "node:events";

import type { EndReason } from "../evaluate/generate.js";
import { askCascade } from "./cascade/ask-cascade.js";
import { RequestError } from "./failure.js";
import type { GenerateJob, ScoredToken } from "./engine/messages.js";
import type { ServedModel } from "./model-set.js";
import type { RequestRecord } from "./observe/request-record.js";
import { ToolCallWatcher } from "./tools/tool-calls.js";
import type { ToolCall, ToolFormat } from "./tools/tool-format.js";

/** A request on its way. */
export interface Scope {
  model: ServedModel;
  /** Whose it is, for fair turns. */
  client: string;
  /** Aborted when the client has gone or the time is up. */
  signal: AbortSignal;
  /** Requests that may wait for one engine. */
  waitingMax: number;
  record: RequestRecord;
}

/** What is wanted. */
export interface Question extends Omit<GenerateJob, "kind" | "id" | "client"> {
  /** Tools whose calls are looked for. */
  tools?: { format: ToolFormat; names: readonly string[] } | undefined;
  /** The client's request, in the names of OpenAI's API: what another server is asked. */
  asked: Readonly<Record<string, unknown>>;
}

/** A part of an answer. */
export type AnswerPiece =
  | {
      kind: "started";
      promptTokens: number;
      cachedTokens: number;
      echo?: { text: string; tokens: ScoredToken[] } | undefined;
    }
  | { kind: "text"; text: string; tokens: ScoredToken[] }
  | { kind: "calls"; calls: ToolCall[] }
  | {
      kind: "ended";
      reason: "stop" | "length" | "tool_calls";
      answerTokens: number;
      /** Where the question wanted it told. */
      confidence?: number | undefined;
      /** Tokens that a draft guessed, and those of them that were right. */
      draftTokens?: number | undefined;
      draftAccepted?: number | undefined;
    };

/** Asks the model, or a cascade's models, and passes on what comes. */
export function ask(scope: Scope, question: Question): AsyncGenerator<AnswerPiece> {
  return scope.model.cascade ? askCascade(scope, scope.model.cascade, question) : askEngine(scope, question);
}

/** Asks the model's engine and passes on what comes. */
export async function* askEngine(scope: Scope, question: Question): AsyncGenerator<AnswerPiece> {
  const { tools, asked: _, ...job } = question;
  const watcher = tools && new ToolCallWatcher(tools.format, tools.names);
  const { record } = scope;
  const events = scope.model.engine.run({ ...job, kind: "generate", client: scope.client }, scope.signal);
  for await (const event of events) {
    if (event.kind === "started") {
      record.noteStarted(event.promptTokens, event.cachedTokens);
      yield event;
    } else if (event.kind === "text") {
      record.noteText();
      const text = watcher ? watcher.push(event.text) : event.text;
      if (text !== "" || event.tokens.length > 0) yield { kind: "text", text, tokens: event.tokens };
    } else if (event.kind === "ended") {
      record.noteEnded(event);
      const rest = watcher?.end() ?? { text: "", calls: [] };
      if (rest.text !== "") yield { kind: "text", text: rest.text, tokens: [] };
      if (rest.calls.length > 0) yield { kind: "calls", calls: rest.calls };
      const reason = rest.calls.length > 0 ? "tool_calls" : finishReason(event.reason);
      const { answerTokens, confidence, draftTokens, draftAccepted } = event;
      yield { kind: "ended", reason, answerTokens, confidence, draftTokens, draftAccepted };
    }
  }
}

/** A whole answer. */
export interface WholeAnswer {
  text: string;
  tokens: ScoredToken[];
  calls: ToolCall[];
  reason: "stop" | "length" | "tool_calls";
  promptTokens: number;
  cachedTokens: number;
  answerTokens: number;
  draftTokens?: number | undefined;
  draftAccepted?: number | undefined;
  echo: { text: string; tokens: ScoredToken[] } | undefined;
}

/** Asks the model and waits for the end. */
export async function askWhole(scope: Scope, question: Question): Promise<WholeAnswer> {
  const whole: WholeAnswer = {
    text: "",
    tokens: [],
    calls: [],
    reason: "stop",
    promptTokens: 0,
    cachedTokens: 0,
    answerTokens: 0,
    echo: undefined,
  };
  for await (const piece of ask(scope, { ...question, streams: false })) {
    if (piece.kind === "started")
      Object.assign(whole, { promptTokens: piece.promptTokens, cachedTokens: piece.cachedTokens, echo: piece.echo });
    else if (piece.kind === "calls") whole.calls = piece.calls;
    else if (piece.kind === "ended") {
      const { reason, answerTokens, draftTokens, draftAccepted } = piece;
      Object.assign(whole, { reason, answerTokens, draftTokens, draftAccepted });
    } else {
      whole.text += piece.text;
      whole.tokens.push(...piece.tokens);
    }
  }
  return whole;
}

/** Asks all questions of one request side by side; when one fails, nobody waits for the others. */
export async function askAll(scope: Scope, questions: readonly Question[]): Promise<WholeAnswer[]> {
  const { shared, abort } = withSiblings(scope, questions.length);
  try {
    return await Promise.all(questions.map((question) => askWhole(shared, question)));
  } catch (error) {
    abort(error);
    throw error;
  }
}

/** The scope of so many answers that end together. */
export function withSiblings(scope: Scope, answers: number): { shared: Scope; abort: (reason: unknown) => void } {
  const siblings = new AbortController();
  const signal = AbortSignal.any([scope.signal, siblings.signal]);
  setMaxListeners(answers, signal); // each has one
  return { shared: { ...scope, signal }, abort: (reason) => siblings.abort(reason) };
}

function finishReason(reason: EndReason): "stop" | "length" {
  if (reason === "not-a-number") {
    throw new RequestError(
      500,
      "The model computes values that are not numbers; its file is damaged or was quantized too far",
    );
  }
  return reason === "length" || reason === "context" ? "length" : "stop";
}
