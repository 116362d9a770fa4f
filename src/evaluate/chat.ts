// Talking to a model. The engine runs in a child process that keeps the conversation's KV cache between turns; text
// arrives in pieces as it is generated.
import { PareError } from "../errors.js";
import { diagnosing } from "../model/diagnose.js";
import { isolate } from "../native/isolate.js";
import type { Backend } from "../native/platform.js";
import type { EndReason } from "./generate.js";
import { createSampler, type SamplingOptions } from "./sample.js";
import type { ChatMessage } from "./task.js";

export interface ChatOptions extends SamplingOptions {
  /** Path of a GGUF file. */
  model: string;
  /** LoRA adapter, a GGUF file. */
  adapter?: string | undefined;
  /** Sets the tone of a conversation; needs a chat template. */
  system?: string | undefined;
  /** Continue texts as they are; always so where the model has no chat template. */
  raw?: boolean | undefined;
  /** Tokens per answer at most; by default as many as the context holds. */
  maxTokens?: number | undefined;
  /** Texts that end an answer. */
  stop?: readonly string[] | undefined;
  /** Tokens of the context; by default the model's trained length, at most 4096. */
  contextLength?: number | undefined;
  threads?: number | undefined;
  /** Rearrange weights for speed; on by default. */
  repack?: boolean | undefined;
  backend?: Backend | undefined;
  /** Ends the engine at once; an answer under way is rejected with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** What an answer was and took. */
export interface AnswerResult {
  text: string;
  reason: EndReason | "aborted";
  /** Tokens of the conversation before the answer. */
  promptTokens: number;
  /** Of those, tokens that were computed now; the rest was in the cache. */
  prefillTokens: number;
  answerTokens: number;
  prefillTokensPerSecond: number | null;
  decodeTokensPerSecond: number | null;
}

/** An answer under way: iterate over its pieces, or await `result`. */
export interface Answer extends AsyncIterable<string> {
  readonly result: Promise<AnswerResult>;
}

/** What is known of a model once it is loaded. */
export interface ChatModel {
  description: string;
  contextLength: number;
  /** False where texts are continued raw. */
  usesTemplate: boolean;
}

export interface ChatSession extends AsyncDisposable {
  /** Resolves when the model is loaded. */
  readonly ready: Promise<ChatModel>;
  /** The conversation so far, system message first. */
  readonly messages: readonly ChatMessage[];
  /**
   * Sends a message, or a whole conversation that takes the place of the one so far. One at a time: the answer before must
   * have ended. An abort ends this answer; the session stays, without the unfinished turn.
   */
  send(message: string | readonly ChatMessage[], options?: { signal?: AbortSignal | undefined }): Answer;
  /** Ends the child process. */
  close(): Promise<void>;
}

/** What the job is given. */
export type ChatJobInput = Omit<ChatOptions, "system" | "backend" | "signal">;

/** From session to job. */
export type ToChatJob = { kind: "answer"; to: string | ChatMessage[] } | { kind: "stop" };

/** From job to session. */
export type FromChatJob =
  | { kind: "ready"; model: ChatModel }
  | { kind: "text"; text: string }
  | { kind: "answered"; result: AnswerResult }
  | { kind: "refused"; message: string; hint?: string | undefined };

/**
 * Opens a conversation with a model.
 *
 * @throws {RangeError} when a sampling option is out of its range; whatever loading throws comes from `ready` and `send`
 * @example
 * await using session = chat({ model: "model.gguf" });
 * for await (const piece of session.send("Good morning!")) process.stdout.write(piece);
 */
export function chat(options: ChatOptions): ChatSession {
  createSampler(options); // finds a bad option here rather than in the child
  return new EngineSession(options);
}

/**
 * Answers once and ends the engine.
 *
 * @param options.prompt a text to answer, through the model's chat template where it has one and `raw` is not set
 * @throws as {@link chat}
 * @example
 * for await (const piece of complete({ model: "model.gguf", prompt: "Once upon a time", greedy: true })) process.stdout.write(piece);
 */
export function complete(options: ChatOptions & { prompt: string | readonly ChatMessage[] }): Answer {
  const { prompt, ...rest } = options;
  const session = chat(rest);
  const answer = session.send(prompt);
  const close = (): void => void session.close();
  answer.result.then(close, close);
  return answer;
}

class EngineSession implements ChatSession {
  readonly ready: Promise<ChatModel>;
  readonly #options: ChatOptions;
  readonly #ended: Promise<void>;
  readonly #closing = new AbortController();
  #messages: ChatMessage[];
  #post: (message: ToChatJob) => void = () => undefined;
  #current: PendingAnswer | undefined;
  /** The conversation that the answer under way belongs to. */
  #asked: ChatMessage[] = [];
  #failure: unknown;

  constructor(options: ChatOptions) {
    this.#options = options;
    this.#messages = options.system === undefined ? [] : [{ role: "system", content: options.system }];
    let resolveReady: (model: ChatModel) => void;
    let rejectReady: (error: unknown) => void;
    this.ready = new Promise((resolve, reject) => {
      resolveReady = resolve;
      rejectReady = reject;
    });
    this.ready.catch(() => undefined); // whoever sends a message hears of it there
    const { system: _system, backend, signal, ...input } = options;
    const running = diagnosing([options.model], () =>
      isolate<ChatJobInput, void>("evaluate/chat.job", input, {
        what: `chatting with "${options.model}"`,
        backend,
        signal: signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]),
        onStart: (send) => (this.#post = send),
        onEvent: (event) => this.#receive(event as FromChatJob, resolveReady),
      }),
    );
    this.#ended = running.catch((error: unknown) => {
      this.#failure = error;
      rejectReady(error);
      this.#current?.fail(error);
    });
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  send(message: string | readonly ChatMessage[], { signal }: { signal?: AbortSignal | undefined } = {}): Answer {
    if (this.#current !== undefined) throw new PareError("Cannot send a message: the answer before has not ended");
    const pending = new PendingAnswer();
    this.#current = pending;
    void this.#exchange(message, pending, signal);
    return pending;
  }

  async close(): Promise<void> {
    this.#closing.abort(); // the child has nothing to save
    await this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #exchange(
    message: string | readonly ChatMessage[],
    pending: PendingAnswer,
    signal?: AbortSignal,
  ): Promise<void> {
    const stop = (): void => this.#post({ kind: "stop" });
    try {
      signal?.throwIfAborted();
      const { usesTemplate } = await this.ready;
      this.#asked = this.#with(message, usesTemplate);
      this.#post({ kind: "answer", to: usesTemplate ? this.#asked : this.#asked.at(-1)!.content });
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop, { once: true });
      await pending.result;
    } catch (error) {
      if (this.#current === pending) this.#current = undefined;
      pending.fail(this.#failure ?? error);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  #with(message: string | readonly ChatMessage[], usesTemplate: boolean): ChatMessage[] {
    if (typeof message === "string") return [...this.#messages, { role: "user", content: message }];
    if (usesTemplate) return [...message];
    throw new PareError(`"${this.#options.model}" is continued raw, so it can't take messages`, {
      hint: "Send a text, which the model continues as it is",
    });
  }

  #receive(event: FromChatJob, ready: (model: ChatModel) => void): void {
    const pending = this.#current;
    if (event.kind === "ready") ready(event.model);
    else if (event.kind === "text") pending?.push(event.text);
    else if (event.kind === "answered") this.#finish(event.result);
    else {
      this.#current = undefined;
      pending?.fail(new PareError(event.message, event.hint ? { hint: event.hint } : {}));
    }
  }

  #finish(result: AnswerResult): void {
    const pending = this.#current;
    this.#current = undefined;
    if (result.reason !== "aborted") this.#messages = [...this.#asked, { role: "assistant", content: result.text }];
    pending?.finish(result);
  }
}

/** Pieces wait here until they are asked for. */
class PendingAnswer implements Answer {
  readonly result: Promise<AnswerResult>;
  readonly #pieces: string[] = [];
  #resolve!: (result: AnswerResult) => void;
  #reject!: (error: unknown) => void;
  #isSettled = false;
  #wake: () => void = () => undefined;

  constructor() {
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.result.catch(() => undefined); // who iterates hears of it at the end
  }

  push(text: string): void {
    this.#pieces.push(text);
    this.#wake();
  }

  finish(result: AnswerResult): void {
    this.#resolve(result);
    this.#settle();
  }

  fail(error: unknown): void {
    this.#reject(error);
    this.#settle();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (;;) {
      while (this.#pieces.length > 0) yield this.#pieces.shift()!;
      if (this.#isSettled) break;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    await this.result; // throws what went wrong
  }

  #settle(): void {
    this.#isSettled = true;
    this.#wake();
  }
}
