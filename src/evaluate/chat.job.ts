// The engine's side of a conversation: one sequence, one token at a time, the cache kept from turn to turn.
import { performance } from "node:perf_hooks";

import { EngineError, PareError } from "../errors.js";
import { loadEngine } from "../native/engine.js";
import type { JobContext } from "../native/isolate.js";
import { LlamaModel } from "../native/llama-model.js";
import { AnswerText } from "./answer-text.js";
import type { AnswerResult, ChatJobInput, FromChatJob, ToChatJob } from "./chat.js";
import { Lanes } from "./lanes.js";
import { PromptTokenizer } from "./prompt-tokens.js";
import { createSampler, type Sampler } from "./sample.js";
import type { ChatMessage } from "./task.js";

const CONTEXT_LENGTH_MAX = 4096; // unless asked for: a long-context model's whole cache may not fit
const EMIT_MS = 30; // pieces of text are gathered this long; each costs a message between processes
const LANE = 0;

export async function run(input: ChatJobInput, context: JobContext): Promise<void> {
  using model = LlamaModel.load(loadEngine(), input.model, {
    repack: input.repack ?? true,
    adapter: input.adapter,
  });
  const tokenizer = new PromptTokenizer(model, { readTemplate: input.raw !== true });
  const contextLength =
    input.contextLength ?? Math.min(model.contextLengthTrained || CONTEXT_LENGTH_MAX, CONTEXT_LENGTH_MAX);
  using lanes = new Lanes(model, { laneTokens: contextLength, count: 1, threads: input.threads, flash: true });
  const emit = (event: FromChatJob): void => context.emit(event);
  emit({
    kind: "ready",
    model: { description: model.description, contextLength, usesTemplate: tokenizer.hasTemplate },
  });
  const conversation = new Conversation(lanes, contextLength, input, context);
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  const serve = async (): Promise<void> => {
    for await (const message of context.messages() as AsyncIterable<ToChatJob>) {
      if (message.kind === "stop") conversation.stop();
      else answerTo(conversation, tokenizer, message.to).then(emit, fail); // meanwhile, a stop may come
    }
  };
  await Promise.race([serve(), failed]);
}

/** What can't be answered is told, and the session goes on; what the engine throws ends it. */
async function answerTo(
  conversation: Conversation,
  tokenizer: PromptTokenizer,
  to: string | ChatMessage[],
): Promise<FromChatJob> {
  try {
    const tokens = typeof to === "string" ? tokenizer.prompt(to) : tokenizer.conversation({ messages: to });
    return { kind: "answered", result: await conversation.answer(tokens) };
  } catch (error) {
    if (!(error instanceof PareError) || error instanceof EngineError) throw error;
    return { kind: "refused", message: error.message, hint: error.hint };
  }
}

/** A lane of the cache, and what is in it. */
class Conversation {
  readonly #lanes: Lanes;
  readonly #model: LlamaModel;
  readonly #contextLength: number;
  readonly #input: ChatJobInput;
  readonly #context: JobContext;
  readonly #sampler: Sampler;
  /** Tokens whose keys and values are in the cache. */
  #cached: number[] = [];
  #isStopped = false;

  constructor(lanes: Lanes, contextLength: number, input: ChatJobInput, context: JobContext) {
    this.#lanes = lanes;
    this.#model = lanes.model;
    this.#contextLength = contextLength;
    this.#input = input;
    this.#context = context;
    this.#sampler = createSampler(input);
  }

  stop(): void {
    this.#isStopped = true;
  }

  async answer(tokens: number[]): Promise<AnswerResult> {
    this.#isStopped = false;
    this.#requireRoom(tokens.length);
    const prefillStartedAt = performance.now();
    const { logits, prefillTokens } = await this.#prefill(tokens);
    const prefillMs = performance.now() - prefillStartedAt;
    const answered = await this.#decode(logits);
    return {
      text: answered.text,
      reason: answered.reason,
      promptTokens: tokens.length,
      prefillTokens,
      answerTokens: answered.tokens,
      prefillTokensPerSecond: rate(prefillTokens, prefillMs),
      decodeTokensPerSecond: rate(answered.tokens - 1, answered.milliseconds), // the first came with the prompt
    };
  }

  #requireRoom(tokens: number): void {
    if (tokens === 0)
      throw new PareError("The prompt is empty, and the vocabulary begins texts with no token of its own");
    if (tokens < this.#contextLength) return;
    throw new PareError(`The conversation has ${tokens} tokens, the context ${this.#contextLength}`, {
      hint: "Start a new conversation, or choose a longer context",
    });
  }

  /** Computes what is not in the cache yet, the last token in any case. @returns logits after it, undefined when stopped */
  async #prefill(tokens: number[]): Promise<{ logits: Float32Array | undefined; prefillTokens: number }> {
    let same = 0;
    while (same < Math.min(this.#cached.length, tokens.length - 1) && tokens[same] === this.#cached[same]) same++;
    const kept = this.#lanes.truncate(LANE, same);
    let logits: Float32Array | undefined;
    while (!logits && !this.#isStopped) {
      logits = this.#lanes.prefillPiece(LANE, tokens);
      await this.#context.flush();
    }
    this.#cached = tokens.slice(0, this.#lanes.length(LANE));
    return { logits, prefillTokens: this.#cached.length - kept };
  }

  /** The hot loop: apart from the engine, a step costs the search of the logits and little else. */
  async #decode(
    first: Float32Array | undefined,
  ): Promise<{ text: string; reason: AnswerResult["reason"]; tokens: number; milliseconds: number }> {
    const { maxTokens = Infinity, stop = [] } = this.#input;
    const answer = new AnswerText(stop);
    const lanes = this.#lanes;
    let reason: AnswerResult["reason"] = "aborted";
    let tokens = 0;
    let unsent = "";
    let logits = first;
    const startedAt = performance.now();
    let sentAt = -Infinity;
    while (!this.#isStopped) {
      if (!logits) break;
      const token = this.#sampler(logits);
      if (Number.isNaN(logits[token]!)) reason = "not-a-number";
      else if (this.#model.isEndOfGeneration(token)) reason = "end";
      if (reason !== "aborted") break;
      tokens++;
      unsent += answer.push(this.#model.tokenBytes(token));
      if (answer.isStopped) reason = "stop";
      else if (tokens >= maxTokens) reason = "length";
      else if (this.#cached.length >= this.#contextLength) reason = "context";
      if (reason !== "aborted") break;
      const now = performance.now();
      if (now - sentAt > EMIT_MS) {
        if (unsent !== "") this.#context.emit({ kind: "text", text: unsent } satisfies FromChatJob);
        unsent = "";
        sentAt = now;
        await this.#context.flush();
      }
      lanes.step([{ lane: LANE, token }], (_, row) => (logits = row));
      this.#cached.push(token);
    }
    const milliseconds = performance.now() - startedAt;
    unsent += answer.end();
    if (unsent !== "") this.#context.emit({ kind: "text", text: unsent } satisfies FromChatJob);
    return { text: answer.text, reason, tokens, milliseconds };
  }
}

function rate(tokens: number, milliseconds: number): number | null {
  return tokens > 0 && milliseconds > 0 ? (tokens / milliseconds) * 1000 : null;
}
