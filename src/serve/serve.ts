// `pare serve`: models behind an HTTP address that speaks OpenAI's and Ollama's APIs. Each model has a process of its own.
import type { AddressInfo } from "node:net";

import { createAdaptorServer } from "@hono/node-server";

import { messageOf, PareError, UsageError } from "../errors.js";
import { readCascade } from "../fit/cascade/cascade-file.js";
import type { Backend } from "../native/platform.js";
import { createApp } from "./app.js";
import { addCascade, withCascadeModels } from "./cascade/add-cascade.js";
import { Engine } from "./engine/engine.js";
import type { LoadedModel } from "./engine/messages.js";
import { addKeysOfEnvironment, ApiKeys, readApiKeys } from "./guard/api-keys.js";
import { Limits } from "./guard/limits.js";
import { isLoopbackAddress } from "./guard/origin.js";
import { loadedModel, ModelSet, type NamedPath, parseModel, type ServedModel } from "./model-set.js";
import { Metrics } from "./observe/metrics.js";
import type { LogEntry } from "./observe/request-record.js";
import { readRoutes } from "./route/route-file.js";
import { Router } from "./route/router.js";

export interface ServeOptions {
  /** GGUF files, each as `path` or `name=path`; none where there are cascades. */
  models: string | readonly string[];
  /** Files of cascades, as `pare fit --cascade` writes them; their models are served, too. */
  cascades?: readonly string[] | undefined;
  /** YAML file that says which model answers which task. */
  routes?: string | undefined;
  /** Smaller models that guess tokens ahead, each as `path`, for the first model, or `name=path`. */
  drafts?: readonly string[] | undefined;
  /** Guess also where that was found to be slower: for measuring it. */
  alwaysDrafts?: boolean | undefined;
  /** 8080 by default; 0 takes a free one. */
  port?: number | undefined;
  /** 127.0.0.1 by default, which only this machine reaches. */
  host?: string | undefined;
  /** Tokens of one conversation at most; by default the model's trained length, at most 4096. */
  contextLength?: number | undefined;
  /** Answers at once per model; by default as many as memory allows, at most 16 on a CPU. */
  parallel?: number | undefined;
  threads?: number | undefined;
  backend?: Backend | undefined;
  /** Rearrange weights for speed; on by default. */
  repack?: boolean | undefined;
  /** Faster, at the price of answers that depend on what runs beside them; off by default. */
  fast?: boolean | undefined;
  /** No flash attention: slower, and without its one exception from answers being the same on several threads. */
  exact?: boolean | undefined;
  /** File of API keys; those of the environment variable `PARE_API_KEY` are added. */
  apiKeyFile?: string | undefined;
  /** Origins whose pages may use the server, `*` for all; none by default. */
  cors?: readonly string[] | undefined;
  /** Bytes of a request's body at most; 16 MB by default. */
  bodyBytes?: number | undefined;
  /** A request's time at most, in milliseconds; ten minutes by default. */
  requestMs?: number | undefined;
  /** Requests that may wait for a model; 256 by default. */
  waitingMax?: number | undefined;
  /** Told of every request when it has ended. */
  onRequest?: ((entry: LogEntry) => void) | undefined;
  /** Tell the bodies of requests, too. */
  logPrompts?: boolean | undefined;
  /** Told when an engine has died and is started again. */
  onEngineDeath?: ((model: string, message: string) => void) | undefined;
  /** Stops the server. */
  signal?: AbortSignal | undefined;
  /** What `/api/version` says. */
  version?: string | undefined;
}

/** A server that runs. */
export interface PareServer extends AsyncDisposable {
  readonly url: string;
  readonly models: readonly { name: string; path: string; loaded: LoadedModel | undefined }[];
  /** Resolves when the server has stopped. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

/**
 * Serves models until it is closed.
 *
 * @throws {FormatError} when a model or the file of keys can't be read; {UsageError} when the options can't be meant
 * @example
 * await using server = await serve({ models: "model.gguf", port: 8080 });
 * console.log(server.url);
 */
export async function serve(options: ServeOptions): Promise<PareServer> {
  options.signal?.throwIfAborted();
  const cascades = await Promise.all((options.cascades ?? []).map(readCascade));
  const routes = options.routes === undefined ? undefined : await readRoutes(options.routes);
  const named = withCascadeModels(([options.models].flat() as string[]).map(parseModel), cascades);
  if (named.length === 0)
    throw new UsageError("There is no model to serve", { hint: "Name a GGUF file, or a --cascade" });
  if (options.fast && options.exact) throw new UsageError("A server is either fast or exact");
  const { host = "127.0.0.1", port = 8080 } = options;
  const keys = await keysOf(options);
  const drafts = draftsOf(options, named);
  const models = new ModelSet(named, ({ name, path }) =>
    startEngine(name, path, { ...options, draft: drafts.get(name) }),
  );
  let server: PareServer | undefined;
  try {
    for (const cascade of cascades) addCascade(models, cascade);
    const router = routes && new Router(routes, models);
    server = await listen(models, keys, { ...options, host, port, router }); // first: a port that is taken is known before a long load
    await untilAborted(Promise.all(models.engines.map(firstLoad)), options.signal);
    return server;
  } catch (error) {
    await Promise.all([server?.close(), ...models.engines.map(({ engine }) => engine.close())]);
    throw error;
  }
}

/** Paths of drafts by the names of their models. */
function draftsOf({ drafts = [], exact }: ServeOptions, models: readonly NamedPath[]): Map<string, string> {
  if (exact && drafts.length > 0) {
    throw new UsageError("A draft needs flash attention, which an exact server does without");
  }
  const byName = drafts.map((text): [string, string] => {
    const named = /^([^=/\\]+)=(.+)$/.exec(text);
    return named ? [named[1]!, named[2]!] : [models[0]!.name, text];
  });
  const stranger = byName.find(([name]) => !models.some((model) => model.name === name));
  if (stranger) throw new UsageError(`There is no model "${stranger[0]}" for the draft "${stranger[1]}"`);
  return new Map(byName);
}

async function keysOf({ apiKeyFile }: ServeOptions): Promise<ApiKeys> {
  const keys = new ApiKeys();
  if (apiKeyFile !== undefined) await readApiKeys(apiKeyFile, keys);
  addKeysOfEnvironment(keys);
  return keys;
}

function startEngine(name: string, model: string, options: ServeOptions & { draft: string | undefined }): Engine {
  const { contextLength, parallel, threads, backend, repack, fast, exact, draft, alwaysDrafts } = options;
  return new Engine({
    model,
    contextLength,
    parallel,
    threads,
    backend,
    repack,
    fast,
    exact,
    draft,
    alwaysDrafts,
    onDeath: (error) => options.onEngineDeath?.(name, messageOf(error)),
  });
}

/** At the start, what keeps a model from loading is the caller's to know. */
async function firstLoad(model: ServedModel): Promise<void> {
  try {
    await loadedModel(model);
  } catch (error) {
    throw error instanceof PareError && error.cause instanceof Error ? error.cause : error;
  }
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return Promise.race([
    work,
    new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true })),
  ]);
}

const BODY_BYTES = 16e6;
const REQUEST_MS = 600_000;
const WAITING_MAX = 256;
const HEADERS_MS = 10_000;
const CONNECTIONS_MAX = 2048;

async function listen(
  models: ModelSet,
  keys: ApiKeys,
  options: ServeOptions & { host: string; port: number; router: Router | undefined },
): Promise<PareServer> {
  const { host, port, requestMs = REQUEST_MS } = options;
  const app = createApp({
    models,
    router: options.router,
    keys,
    limits: new Limits(),
    metrics: new Metrics(),
    bodyBytes: options.bodyBytes ?? BODY_BYTES,
    requestMs,
    waitingMax: options.waitingMax ?? WAITING_MAX,
    logsBodies: options.logPrompts ?? false,
    version: options.version ?? "0.0.0",
    allowedOrigins: options.cors ?? [],
    isLoopback: isLoopbackAddress(host),
    log: (entry) => options.onRequest?.(entry),
  });
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      requestTimeout: requestMs,
      headersTimeout: Math.min(HEADERS_MS, requestMs),
      connectionsCheckingInterval: 5000,
    },
  }) as import("node:http").Server;
  server.maxConnections = CONNECTIONS_MAX;
  server.timeout = requestMs + HEADERS_MS; // a reader that takes nothing any more is let go
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(listenFailure(host, port, cause)));
    server.listen(port, host, resolve);
  });
  return runningServer(server, models, options.signal);
}

function listenFailure(host: string, port: number, cause: NodeJS.ErrnoException): PareError {
  const reasons: Record<string, string> = {
    EADDRINUSE: "another program listens there",
    EACCES: "this user may not",
    EADDRNOTAVAIL: "this machine has no such address",
    ENOTFOUND: "there is no such name",
  };
  const hint = "Choose another --port or --host";
  return new PareError(`Cannot listen on ${host}:${port}: ${reasons[cause.code ?? ""] ?? cause.message}`, {
    hint,
    cause,
  });
}

function runningServer(
  server: import("node:http").Server,
  models: ModelSet,
  signal: AbortSignal | undefined,
): PareServer {
  const { address, port, family } = server.address() as AddressInfo;
  let finish: () => void;
  const closed = new Promise<void>((resolve) => (finish = resolve));
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      const stopped = new Promise((resolve) => server.close(resolve));
      await Promise.all(models.engines.map(({ engine }) => engine.close()));
      server.closeAllConnections();
      await stopped;
      finish();
    })();
    return closing;
  };
  if (signal?.aborted) void close();
  signal?.addEventListener("abort", () => void close(), { once: true });
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${port}`,
    get models() {
      return [...models].map(({ name, path, engine }) => ({ name, path, loaded: engine.model }));
    },
    closed,
    close,
    [Symbol.asyncDispose]: close,
  };
}
