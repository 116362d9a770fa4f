// The exported model in Ollama, where it runs on this machine: created under a name of its own, asked for the next token
// after beginnings of the fixed text, and removed again.
import { spawn } from "node:child_process";

import { messageOf } from "../../errors.js";
import type { RunOptions } from "../../support/progress.js";
import { type Parity, compareTop, skipped } from "../parity/compare.js";
import { type Reference, computeReference } from "../parity/reference.js";

export interface OllamaParityRequest {
  model: string;
  modelfile: string;
  parity?: boolean | undefined;
}

const NAME = "pare-parity";
/** Requests at most; each computes its beginning anew. */
const POSITIONS_MAX = 48;

/** Compares; skipped where Ollama is not installed, or its server does not run. */
export async function ollamaParity(request: OllamaParityRequest, options: RunOptions = {}): Promise<Parity> {
  if (request.parity === false) return skipped("not asked for");
  const server = serverUrl();
  const version = await askServer(`${server}/api/version`, undefined, options).catch(() => undefined);
  if (version === undefined) return skipped(`no Ollama answers at ${server}`);
  const reference = await computeReference(request.model, { ...options, wantsText: true });
  const failure = await runOllama(["create", NAME, "-f", request.modelfile], options);
  if (failure !== undefined) return { ...skipped(failure), status: "failed" };
  try {
    return await compare(reference, server, `Ollama ${String(version["version"])}`, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    return { ...skipped(messageOf(error)), status: "failed" };
  } finally {
    await runOllama(["rm", NAME], {});
  }
}

/** Where Ollama's own programs look for it: without a scheme its own port, and this machine for "all addresses". */
export function serverUrl(setting = process.env["OLLAMA_HOST"] ?? ""): string {
  const host = setting.trim().replace(/\/+$/, "");
  if (host.includes("://")) return host;
  const [, name = "", port = "11434"] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(host) ?? [undefined, host];
  return `http://${["", "0.0.0.0", "[::]"].includes(name) ? "127.0.0.1" : name}:${port}`;
}

/** Positions whose text stands by itself, and whose likeliest token is text, are asked for, evenly spread. */
async function compare(reference: Reference, server: string, detail: string, options: RunOptions): Promise<Parity> {
  const possible = reference.asText!.flatMap(({ prefix, top }, position) =>
    prefix === undefined || top[0] === undefined ? [] : [{ prefix, texts: top, top: reference.top[position]! }],
  );
  const step = Math.ceil(possible.length / POSITIONS_MAX);
  const asked = possible.filter((_, index) => index % step === 0);
  const found: number[] = [];
  for (const [index, { prefix, texts, top }] of asked.entries()) {
    options.onProgress?.({ stage: "comparing", done: index, total: asked.length, unit: "positions", detail });
    const body = { model: NAME, prompt: prefix, raw: true, stream: false, options: { num_predict: 1, temperature: 0 } };
    const { response } = await askServer(`${server}/api/generate`, body, options);
    found.push(top.tokens[texts.indexOf(String(response))] ?? -1);
  }
  return compareTop({ tokens: [], top: asked.map(({ top }) => top) }, found, detail);
}

async function askServer(url: string, body: unknown, { signal }: RunOptions): Promise<Record<string, unknown>> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { ...init, headers, signal: signal ?? null });
  const answer = (await response.json()) as Record<string, unknown>;
  if (response.ok) return answer;
  throw new Error(`Ollama answers ${response.status}: ${String(answer["error"])}`);
}

/** @returns what it complained of, or undefined when it did as told */
function runOllama(args: readonly string[], { signal }: RunOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn("ollama", args, { stdio: ["ignore", "ignore", "pipe"], signal });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-2000)));
    child.on("error", (error) => resolve(`ollama did not start: ${error.message}`));
    child.on("close", (code) =>
      resolve(code === 0 ? undefined : `ollama ${args[0]}: ${stderr.trim().split("\n").at(-1)}`),
    );
  });
}
