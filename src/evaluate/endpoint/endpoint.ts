// An OpenAI-compatible server as something that answers cases: vLLM, Ollama, llama-server, `pare serve`, a model in a cloud. Requests are
// few at once and few per minute, tried again where that may help, and refused for good where it can't.
import PQueue from "p-queue";
import pRetry, { AbortError } from "p-retry";

import { PareError, UsageError, isAbortError, messageOf } from "../../errors.js";
import { withTimeLimit } from "../../support/time-limit.js";
import type { ChatMessage } from "../task.js";
import { BrokenStream, type StreamedAnswer, readStream } from "./read-stream.js";

const ATTEMPTS_MAX = 5;
const WAIT_MS_DEFAULT = 500; // doubled after each attempt
const WAIT_MS_MAX = 60_000; // also of what a server asks for
const REQUEST_MS_MAX = 300_000;
/** Too early, too slow, too many, or its own fault: these pass. */
const PASSING = new Set([408, 409, 425, 429, 500, 502, 503, 504, 529]);

export interface EndpointSettings {
  /** Where its API begins, such as `http://127.0.0.1:8080/v1`. */
  url: string;
  model: string;
  /** Sent with each request, and never written anywhere. */
  key?: string | undefined;
  /** Requests under way at once; 4 by default. */
  parallel?: number | undefined;
  requestsPerMinute?: number | undefined;
  /** Milliseconds before the second attempt; doubled after each. */
  waitMs?: number | undefined;
}

export interface EndpointQuestion {
  prompt?: string | undefined;
  messages?: readonly ChatMessage[] | undefined;
  maxTokens: number;
  stop: readonly string[];
}

export interface EndpointAnswer extends StreamedAnswer {
  milliseconds: number;
}

/** The server won't answer this question, however often it is asked; others it may. */
export class QuestionRefused extends PareError {
  override readonly name = "QuestionRefused";
}

export class Endpoint {
  readonly url: string;
  readonly model: string;
  readonly #key: string | undefined;
  readonly #queue: PQueue;
  readonly #waitMs: number;
  /** What newer models of one maker call the limit. */
  #limitField = "max_tokens";

  /** @throws {UsageError} when the address is none, or a key would travel unencrypted */
  constructor({ url, model, key, parallel = 4, requestsPerMinute, waitMs = WAIT_MS_DEFAULT }: EndpointSettings) {
    this.url = url.replace(/\/+$/u, "");
    this.model = model;
    this.#key = key;
    this.#waitMs = waitMs;
    const limit = requestsPerMinute === undefined ? {} : { interval: 60_000 / requestsPerMinute, intervalCap: 1 };
    this.#queue = new PQueue({ concurrency: parallel, ...limit });
    const { protocol, hostname } = addressOf(url);
    const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
    if (key !== undefined && protocol === "http:" && !isHere) {
      throw new UsageError(`The key for "${url}" would be sent unencrypted`, { hint: "Use an address with https" });
    }
  }

  /**
   * Asks one question.
   *
   * @throws {QuestionRefused} when the server refuses this question
   * @throws {PareError} when it can't be reached, or answers with something that is no answer, time and again
   */
  async answer(question: EndpointQuestion, signal?: AbortSignal): Promise<EndpointAnswer> {
    const path = question.messages === undefined ? "/completions" : "/chat/completions";
    return await this.#request(
      path,
      () => this.#bodyOf(question),
      signal,
      async (response, elapsedMs) => {
        requireStream(response);
        const answer = await readStream(response.body!, elapsedMs);
        return { ...answer, milliseconds: elapsedMs() };
      },
    );
  }

  /** A JSON document of the API; undefined where the server has none there. */
  async read(path: string, body?: object, signal?: AbortSignal): Promise<unknown> {
    try {
      return await this.#request(path, body && (() => body), signal, (response) => response.json() as Promise<unknown>);
    } catch (error) {
      if (error instanceof QuestionRefused) return undefined;
      throw error;
    }
  }

  #bodyOf({ prompt, messages, maxTokens, stop }: EndpointQuestion): object {
    return {
      model: this.model,
      ...(messages === undefined ? { prompt } : { messages }),
      [this.#limitField]: maxTokens,
      ...(stop.length === 0 ? {} : { stop: stop.slice(0, 4) }), // which is what the API takes; all are cut off below
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    };
  }

  async #request<T>(
    path: string,
    body: (() => object) | undefined,
    signal: AbortSignal | undefined,
    read: (response: Response, elapsedMs: () => number) => Promise<T>,
  ): Promise<T> {
    const attempt = async (): Promise<T> => {
      const startedAt = performance.now();
      const response = await this.#fetch(path, body?.(), signal);
      if (!response.ok) throw await this.#failureOf(response);
      return await read(response, () => performance.now() - startedAt);
    };
    const retried = (): Promise<T> =>
      pRetry(attempt, {
        retries: ATTEMPTS_MAX - 1,
        minTimeout: this.#waitMs,
        maxTimeout: WAIT_MS_MAX,
        ...(signal === undefined ? {} : { signal }),
        shouldRetry: ({ error }) => isPassing(error),
        onFailedAttempt: ({ error }) => waitAsAsked(error, signal),
      });
    try {
      return (await this.#queue.add(retried, signal === undefined ? {} : { signal })) as T;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof PareError) throw error;
      throw new PareError(`"${this.url}" does not answer: ${this.#hushed(reasonOf(error))}`, { cause: error });
    }
  }

  async #fetch(path: string, body: object | undefined, signal: AbortSignal | undefined): Promise<Response> {
    return await fetch(`${this.url}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        "content-type": "application/json",
        ...(this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }),
      },
      redirect: "error", // a key goes where it was meant to go
      signal: withTimeLimit(REQUEST_MS_MAX, signal),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async #failureOf(response: Response): Promise<Error> {
    const { status } = response;
    const said = this.#hushed(saidIn(await response.text().catch(() => "")));
    const message = `"${this.url}" answers ${status}${said === "" ? "" : `: ${said}`}`;
    if (PASSING.has(status)) return new PassingFailure(message, response.headers.get("retry-after"));
    if (status === 400 && said.includes("max_completion_tokens") && this.#limitField === "max_tokens") {
      this.#limitField = "max_completion_tokens";
      return new PassingFailure(message, "0");
    }
    if (status === 401 || status === 403) {
      return new AbortError(
        new PareError(message, { hint: "Name the variable that holds its key: --key NAME=VARIABLE" }),
      );
    }
    if (status === 404) {
      const hint =
        "Is the address right, up to /v1, and the model's name? Servers without /completions only take messages";
      return new AbortError(new PareError(message, { hint }));
    }
    return new AbortError(new QuestionRefused(message));
  }

  /** Servers quote keys in their complaints. */
  #hushed(text: string): string {
    return this.#key === undefined ? text : text.replaceAll(this.#key, "…");
  }
}

/** A failure that may pass. */
class PassingFailure extends Error {
  /** What the server asks to wait. */
  readonly waitMs: number;

  constructor(message: string, retryAfter: string | null) {
    super(message);
    const seconds = Number(retryAfter ?? "");
    const untilMs = retryAfter === null || Number.isFinite(seconds) ? 0 : Date.parse(retryAfter) - Date.now();
    this.waitMs = Math.min(WAIT_MS_MAX, Math.max(0, Number.isFinite(seconds) ? seconds * 1000 : untilMs || 0));
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof PassingFailure || error instanceof BrokenStream) return true;
  return error instanceof TypeError || (isAbortError(error) && (error as Error).name === "TimeoutError"); // fetch throws these
}

async function waitAsAsked(error: unknown, signal: AbortSignal | undefined): Promise<void> {
  if (!(error instanceof PassingFailure) || error.waitMs === 0) return;
  const { setTimeout: wait } = await import("node:timers/promises");
  await wait(error.waitMs, undefined, signal === undefined ? {} : { signal });
}

/** An error page with status 200 is no answer, and asking again brings the same. */
function requireStream(response: Response): void {
  const type = response.headers.get("content-type") ?? "nothing";
  if (type.includes("text/event-stream")) return;
  const what = type.includes("html") ? "a web page (HTML)" : type;
  const error = new PareError(`"${response.url}" answers with ${what}, not with a stream of events`, {
    hint: "Is this an OpenAI-compatible API, with its address up to /v1?",
  });
  throw new AbortError(error);
}

/** What a server says of its failure, in one line. */
export function saidIn(text: string): string {
  const type = text.trimStart();
  if (type.startsWith("<")) return "a web page (HTML)";
  try {
    const { error, message } = JSON.parse(text) as { error?: { message?: string } | string; message?: string };
    return (typeof error === "string" ? error : (error?.message ?? message ?? "")).slice(0, 300);
  } catch {
    return type.split("\n", 1)[0]!.slice(0, 200);
  }
}

/** Why a connection failed is in the cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error && cause.message !== "" ? `${messageOf(error)} (${cause.message})` : messageOf(error);
}

/** @throws {UsageError} when it is none */
export function addressOf(url: string): URL {
  try {
    const address = new URL(url);
    if (address.protocol === "http:" || address.protocol === "https:") return address;
  } catch {
    // said below
  }
  throw new UsageError(`"${url}" is no address of an endpoint`, { hint: "Write one such as http://127.0.0.1:8080/v1" });
}
