// The server's routes, and what all of them go through: a record for log and metrics, origin, key, limits.
import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";

import { Hono } from "hono";

import { messageOf } from "../errors.js";
import type { ServeContext, ServeEnv, Surroundings } from "./context.js";
import { failureOf, RequestError } from "./failure.js";
import type { ApiKeys } from "./guard/api-keys.js";
import type { Limits } from "./guard/limits.js";
import { guardOrigin } from "./guard/origin.js";
import type { Metrics } from "./observe/metrics.js";
import { type LogEntry, RequestRecord } from "./observe/request-record.js";
import { ollamaChat } from "./ollama/chat.js";
import { ollamaShow, ollamaTags } from "./ollama/describe.js";
import { ollamaEmbed, ollamaEmbeddings } from "./ollama/embed.js";
import { ollamaGenerate } from "./ollama/generate.js";
import { chatCompletions } from "./openai/chat.js";
import { completions } from "./openai/completions.js";
import { embeddings } from "./openai/embeddings.js";
import { openaiError } from "./openai/events.js";
import { describeModel, listModels } from "./openai/models.js";
import { chatPage, PAGE_HEADERS } from "./page/page.js";

export interface AppOptions extends Surroundings {
  keys: ApiKeys;
  limits: Limits;
  metrics: Metrics;
  version: string;
  allowedOrigins: readonly string[];
  isLoopback: boolean;
  log: (entry: LogEntry) => void;
}

/** Says nothing of models or of anybody's requests, so it needs no key. */
const OPEN_PATHS = new Set(["/", "/health"]);

export function createApp(options: AppOptions): Hono<ServeEnv> {
  const { models, keys, limits } = options;
  const app = new Hono<ServeEnv>();
  app.use(observe(options));
  app.use(guardOrigin({ allowed: options.allowedOrigins, isLoopback: options.isLoopback }));
  app.get("/", (c) => c.html(chatPage(), 200, PAGE_HEADERS));
  app.get("/health", (c) => (models.areReady ? c.json({ status: "ok" }, 200) : c.json({ status: "loading" }, 503)));
  app.use(async (c, next) => {
    if (OPEN_PATHS.has(c.req.path)) return next();
    const client = keys.clientOf(c.req.header("authorization"));
    c.set("client", client);
    c.get("record").client = client.name;
    if (c.req.method !== "POST") return next();
    const leave = limits.enter(client);
    c.get("record").leave = leave;
    return next();
  });
  app.get("/metrics", (c) =>
    c.text(options.metrics.text(models), 200, { "content-type": "text/plain; version=0.0.4" }),
  );
  app.get("/v1/models", (c) => c.json(listModels(models)));
  app.get("/v1/models/:name{.+}", (c) => c.json(describeModel(models.describe(c.req.param("name")))));
  app.get("/api/version", (c) => c.json({ version: options.version }));
  app.get("/api/tags", (c) => ollamaTags(c, options));
  app.get("/api/ps", (c) => ollamaTags(c, options));
  const posts: Record<string, (c: ServeContext, around: Surroundings) => Promise<Response>> = {
    "/v1/chat/completions": chatCompletions,
    "/v1/completions": completions,
    "/v1/embeddings": embeddings,
    "/api/chat": ollamaChat,
    "/api/generate": ollamaGenerate,
    "/api/embed": ollamaEmbed,
    "/api/embeddings": ollamaEmbeddings,
    "/api/show": ollamaShow,
  };
  for (const [path, respond] of Object.entries(posts)) {
    app.post(path, (c) => respond(c, options));
    app.all(path, () => Promise.reject(new RequestError(405, `${path} takes POST`)));
  }
  app.notFound((c) =>
    fail(c, new RequestError(404, `There is nothing at ${c.req.method} ${c.req.path.slice(0, 200)}`)),
  );
  app.onError((error, c) => fail(c, error));
  return app;
}

/** Errors in the shape of the API that was asked. */
function fail(c: ServeContext, error: unknown): Response {
  const { status, message, retryAfterSeconds } = failureOf(error);
  c.get("record").error = error;
  if (retryAfterSeconds !== undefined) c.header("retry-after", String(retryAfterSeconds));
  if (status === 401) c.header("www-authenticate", "Bearer");
  const body = c.req.path.startsWith("/api/") ? { error: message } : openaiError(error);
  return c.json(body, status as 500);
}

/** Logs and counts a request when its response has ended. */
function observe({ log, metrics }: AppOptions) {
  return async (c: ServeContext, next: () => Promise<void>): Promise<void> => {
    const record = new RequestRecord(randomUUID());
    c.set("record", record);
    c.header("x-request-id", record.id);
    c.header("x-content-type-options", "nosniff");
    await next();
    const end = (): void => {
      record.leave();
      const entry = entryOf(c, record);
      metrics.note(entry);
      log(entry);
    };
    if (record.streaming) void record.streaming.then(end);
    else end();
  };
}

function entryOf(c: ServeContext, record: RequestRecord): LogEntry {
  const { draftTokens, draftAccepted } = record;
  const {
    task,
    routedBy,
    model,
    answeredBy,
    error,
    body,
    promptTokens,
    cachedTokens,
    answerTokens,
    firstTextAt,
    startedAt,
  } = record;
  const isForeseen = error === undefined || failureOf(error).status < 500;
  const milliseconds = (from: number, to: number): number => Math.round((to - from) * 10) / 10;
  return {
    time: new Date().toISOString(),
    request: record.id,
    client: record.client,
    method: c.req.method,
    path: c.req.path.slice(0, 200),
    status: c.req.raw.signal.aborted ? 499 : c.res.status,
    milliseconds: milliseconds(startedAt, performance.now()),
    ...(model === undefined ? {} : { model, promptTokens, cachedTokens, answerTokens }),
    ...(task === undefined ? {} : { task, routedBy }),
    ...(draftTokens === 0 ? {} : { draftTokens, draftAccepted }),
    ...(answeredBy.length === 0 ? {} : { answeredBy }),
    ...(firstTextAt === undefined ? {} : { firstTokenMilliseconds: milliseconds(startedAt, firstTextAt) }),
    ...(error === undefined ? {} : { error: isForeseen ? failureOf(error).message : messageOf(error) }),
    ...(body === undefined ? {} : { body }),
  };
}
