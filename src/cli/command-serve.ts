// `pare serve`: models behind an HTTP address.
import type { Command } from "commander";

import type { LogEntry } from "../serve/observe/request-record.js";
import { addExamples } from "./examples.js";
import { type Invocation, perform } from "./invocation.js";
import { argument, bytes, durationMs, option, wholeNumber } from "./options.js";
import { packageVersion } from "./version.js";

interface ServeFlags {
  port: number;
  host: string;
  context?: number;
  parallel?: number;
  fast?: boolean;
  exact?: boolean;
  cascade?: string[];
  route?: string;
  draft?: string[];
  apiKeyFile?: string;
  cors?: string[];
  maxBody?: number;
  maxTime?: number;
  maxWaiting?: number;
  logPrompts?: boolean;
}

export function describeServe(program: Command): void {
  const command = program
    .command("serve")
    .summary("serve models over HTTP, as OpenAI's and Ollama's APIs")
    .description(
      "Serves models over HTTP: OpenAI's API under /v1, Ollama's under /api, a chat page at /, /health and /metrics. Only this " +
        "machine reaches it unless --host says otherwise. Requests are logged on standard error as JSON, without their text. " +
        "Ctrl-C stops it.",
    )
    .addArgument(argument("[model...]", "GGUF files, each as PATH or NAME=PATH", "file"))
    .addOption(
      option("--cascade <file>", "cascade of two models, as pare fit --cascade writes it; repeatable", {
        completes: "file",
        repeatable: true,
      }),
    )
    .addOption(option("--route <file>", "YAML file that says which model answers which task", { completes: "file" }))
    .addOption(
      option(
        "--draft <file>",
        "smaller model of the same vocabulary that guesses tokens ahead: PATH or NAME=PATH; repeatable",
        {
          completes: "file",
          repeatable: true,
        },
      ),
    )
    .addOption(
      option("--port <number>", "port to listen on; 0 takes a free one", {
        parse: wholeNumber(0, 65_535),
        default: 8080,
      }),
    )
    .addOption(option("--host <address>", "address to listen on", { default: "127.0.0.1" }))
    .addOption(option("--context <tokens>", "context length of each conversation", { parse: wholeNumber(8, 1 << 24) }))
    .addOption(
      option("--parallel <count>", "answers at once per model (default: as memory allows)", {
        parse: wholeNumber(1, 256),
      }),
    )
    .option("--fast", "compute faster; an answer may then differ with what runs beside it")
    .option("--exact", "compute slower; no answer then differs with what runs beside it, on several threads either")
    .addOption(option("--api-key-file <file>", "file of API keys: NAME KEY rpm=60 parallel=4", { completes: "file" }))
    .addOption(option("--cors <origin>", "let pages of this origin use the server; repeatable", { repeatable: true }))
    .addOption(option("--max-body <size>", "size of a request at most (default: 16MB)", { parse: bytes }))
    .addOption(option("--max-time <duration>", "time of a request at most (default: 10m)", { parse: durationMs }))
    .addOption(
      option("--max-waiting <count>", "requests that may wait for a model (default: 256)", {
        parse: wholeNumber(0, 1e6),
      }),
    )
    .option("--log-prompts", "log the text of requests, too")
    .action(perform((invocation, flags: ServeFlags, models: string[]) => serveUntilStopped(invocation, flags, models)));
  addExamples(command, [
    "pare serve model.gguf",
    "pare serve small=model-q4.gguf large=model-f16.gguf --port 9000",
    "pare serve model.gguf --host 0.0.0.0 --api-key-file keys.txt",
    "pare serve commands=small.gguf writing=large.gguf --route routes.yaml",
    "pare serve --cascade pare-out/cascade.json",
  ]);
}

async function serveUntilStopped(invocation: Invocation, flags: ServeFlags, models: string[]): Promise<void> {
  const { serve } = await import("../serve/serve.js");
  const { context, cascade, route, draft, maxBody, maxTime, maxWaiting, ...rest } = flags;
  await using server = await serve({
    ...rest,
    models,
    cascades: cascade,
    routes: route,
    drafts: draft,
    contextLength: context,
    bodyBytes: maxBody,
    requestMs: maxTime,
    waitingMax: maxWaiting,
    threads: invocation.threads,
    signal: invocation.signal,
    version: packageVersion(),
    onRequest: (entry) => writeLog(invocation, entry),
    onEngineDeath: (model, message) =>
      writeLog(invocation, { time: new Date().toISOString(), level: "error", model, error: message }),
  });
  const served = server.models.map(({ name, loaded }) => ({
    name,
    contextLength: loaded?.contextLength ?? 0,
    parallel: loaded?.parallel ?? 0,
    kvCacheBytes: loaded?.kvCacheBytes ?? 0,
  }));
  invocation.print({ url: server.url, models: served }, () => [server.url, ...served.map(describe)].join("\n"));
  await server.closed;
}

function describe({
  name,
  contextLength,
  parallel,
}: {
  name: string;
  contextLength: number;
  parallel: number;
}): string {
  return `  ${name}: ${parallel} answers at once, ${contextLength} tokens each`;
}

function writeLog({ quiet }: Invocation, entry: LogEntry | Record<string, unknown>): void {
  if (!quiet) process.stderr.write(`${JSON.stringify(entry)}\n`);
}
