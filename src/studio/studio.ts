// `pare studio`: a page on this machine that shows fits as they go. It listens on the loopback address and nowhere else, and lets in no
// page of another site.
import { readFile, stat } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";

import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";

import { PareError, UsageError, messageOf } from "../errors.js";
import { pathsOf } from "../fit/adapted-base.js";
import { failureOf } from "../serve/failure.js";
import { guardOrigin } from "../serve/guard/origin.js";
import { parseModel } from "../serve/model-set.js";
import { ChatModels } from "./chat-models.js";
import { LiveRuns } from "./live-runs.js";
import { STUDIO_HEADERS, studioPage } from "./page/page.js";
import { readCases } from "./read-cases.js";

export interface StudioOptions {
  /** Output folders of fits, or folders that hold some; the current one by default. */
  folders?: readonly string[] | undefined;
  /** GGUF files to talk with besides those of the runs, each as `path` or `name=path`. */
  models?: readonly string[] | undefined;
  /** 8090 by default; 0 takes a free one. */
  port?: number | undefined;
  threads?: number | undefined;
  version?: string | undefined;
  /** Stops it. */
  signal?: AbortSignal | undefined;
}

/** A studio that runs. */
export interface Studio extends AsyncDisposable {
  readonly url: string;
  /** Resolves when it has stopped. */
  readonly closed: Promise<void>;
}

const HOST = "127.0.0.1";

/**
 * Opens the studio until it is closed.
 *
 * @throws {PareError} when a folder is not there, or the port is taken
 * @example
 * await using studio = await openStudio({ folders: ["lean"], port: 0 });
 * console.log(studio.url);
 */
export async function openStudio(options: StudioOptions = {}): Promise<Studio> {
  const { folders = ["."], models = [], port = 8090, threads, version = "0.0.0" } = options;
  await requireFolders(folders);
  const runs = new LiveRuns(folders);
  const chat = new ChatModels({ threads, version });
  const app = createStudio(runs, chat, models.map(parseModel));
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new PareError(`Cannot open the studio on port ${port}: ${messageOf(cause)}`, {
          hint: "Choose another --port",
          cause,
        }),
      ),
    );
    server.listen(port, HOST, resolve);
  });
  return running(server, runs, chat, options.signal);
}

/** A misspelt folder would be watched for ever. */
async function requireFolders(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory()) continue;
    throw new PareError(
      `Cannot watch "${folder}": ${found ? "it is a file, not a folder" : "there is no such folder"}`,
      {
        hint: "Name the output folder of a fit, or a folder that will hold some; pare fit --out makes one as it begins",
      },
    );
  }
}

function running(server: Server, runs: LiveRuns, chat: ChatModels, signal: AbortSignal | undefined): Studio {
  const closed = new Promise<void>((resolve) => server.once("close", resolve));
  const close = async (): Promise<void> => {
    runs[Symbol.dispose]();
    server.close();
    server.closeAllConnections();
    await chat[Symbol.asyncDispose]();
    await closed;
  };
  if (signal?.aborted) void close();
  signal?.addEventListener("abort", () => void close(), { once: true });
  const { port } = server.address() as AddressInfo;
  return { url: `http://${HOST}:${port}`, closed, [Symbol.asyncDispose]: close };
}

interface ChatModel {
  name: string;
  path: string;
}

function createStudio(runs: LiveRuns, chat: ChatModels, given: readonly ChatModel[]): Hono {
  const app = new Hono();
  app.use(guardOrigin({ allowed: [], isLoopback: true }) as never);
  app.get("/", (c) => c.html(studioPage(), 200, STUDIO_HEADERS));
  app.get("/api/runs", async (c) => c.json(await runs.runs()));
  app.get("/api/models", async (c) => c.json((await chatModels(runs, given)).map(({ name }) => name)));
  app.get("/api/runs/:id/cases", async (c) => {
    const { place, view } = found(runs, c.req.param("id"));
    return c.json(await readCases(place, c.req.query("candidate") ?? "", view.task));
  });
  app.get("/runs/:id/report.html", async (c) => {
    const { place } = found(runs, c.req.param("id"));
    const report = await readFile(join(place.folder, "report.html"), "utf8").catch(() => undefined);
    if (report === undefined) throw new UsageError("This run has no report yet");
    return c.html(report); // it brings its own content security policy
  });
  app.get("/api/events", (c) =>
    streamSSE(c, async (stream) => {
      const stop = runs.listen((run) => void stream.writeSSE({ event: "run", data: JSON.stringify(run) }));
      for (const run of await runs.runs()) await stream.writeSSE({ event: "run", data: JSON.stringify(run) });
      await stream.writeSSE({ event: "ready", data: "{}" });
      await new Promise<void>((resolve) => stream.onAbort(resolve));
      stop();
    }),
  );
  app.post("/api/chat/:model", async (c) => {
    const model = (await chatModels(runs, given)).find(({ name }) => name === c.req.param("model"));
    if (!model) throw new UsageError(`There is no model "${c.req.param("model")}"`);
    return chat.chat(model.path, c.req.raw);
  });
  app.notFound((c) => c.json({ error: { message: `There is nothing at ${c.req.path.slice(0, 200)}` } }, 404));
  app.onError((error, c) => {
    const status = error instanceof UsageError ? 404 : failureOf(error).status;
    return c.json({ error: { message: messageOf(error) } }, status as 404);
  });
  return app;
}

function found(runs: LiveRuns, id: string) {
  const [place, view] = [runs.place(id), runs.view(id)];
  if (!place || !view) throw new UsageError(`There is no run "${id}"`);
  return { place, view };
}

/** Those that were given, then each run's winner and baseline; of one name the first counts. */
async function chatModels(runs: LiveRuns, given: readonly ChatModel[]): Promise<ChatModel[]> {
  const ofRuns = (await runs.runs()).flatMap(({ folder, winner, baseline }): ChatModel[] => [
    ...(winner === undefined ? [] : [{ name: `${basename(folder)}: winner`, path: winner }]),
    ...(pathsOf(baseline).length > 1 ? [] : [{ name: basename(baseline), path: baseline }]), // one that was merged is gone
  ]);
  const byName = new Map<string, ChatModel>();
  for (const model of [...given, ...ofRuns]) if (!byName.has(model.name)) byName.set(model.name, model);
  return [...byName.values()];
}
