// The exported folder in a browser without a window: its engine reads the fixed text, and sends back what it thinks comes next.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { messageOf } from "../../errors.js";
import type { RunOptions } from "../../support/progress.js";
import { type Parity, compareTop, skipped } from "../parity/compare.js";
import { computeReference } from "../parity/reference.js";
import { findBrowser } from "./find-browser.js";
import { serveFolder } from "./static-server.js";

export interface BrowserParityRequest {
  model: string;
  /** The exported folder. */
  folder: string;
  browser?: string | undefined;
  parity?: boolean | undefined;
}

/** A machine that is busy, and a model of 2 GB on one thread. */
const LIMIT_MS = 15 * 60_000;

const PAGE = `<!doctype html><meta charset="utf-8"><script type="module">
import { openModel } from "./engine.js";
const send = (value) => fetch("parity-answer", { method: "POST", body: JSON.stringify(value) });
try {
  const tokens = await (await fetch("parity-tokens.json")).json();
  const model = await openModel();
  await send({ found: await model.topTokens(tokens), threads: model.threads });
} catch (error) {
  await send({ failed: String(error?.message ?? error) });
}
</script>`;

interface Answer {
  found?: number[];
  threads?: number;
  failed?: string;
}

/** Compares; skipped where there is no browser. */
export async function browserParity(request: BrowserParityRequest, options: RunOptions = {}): Promise<Parity> {
  if (request.parity === false) return skipped("not asked for");
  const browser = request.browser ?? (await findBrowser());
  if (browser === undefined) return skipped("no Chromium or Chrome was found; name one with --browser");
  options.onProgress?.({ stage: "comparing", done: 0, total: 2, unit: "steps", detail: "llama.cpp" });
  const reference = await computeReference(request.model, options);
  options.onProgress?.({ stage: "comparing", done: 1, total: 2, unit: "steps", detail: "browser" });
  const answer = await askBrowser(browser, request.folder, reference.tokens, options);
  const found = answer.found ?? [];
  return compareTop(
    reference,
    found,
    answer.failed ?? `Chromium, ${answer.threads} thread${answer.threads === 1 ? "" : "s"}`,
  );
}

async function askBrowser(
  browser: string,
  folder: string,
  tokens: readonly number[],
  { signal }: RunOptions,
): Promise<Answer> {
  let answered: (answer: Answer) => void = () => undefined;
  const answer = new Promise<Answer>((resolve) => (answered = resolve));
  const extra = { "parity.html": PAGE, "parity-tokens.json": JSON.stringify(tokens) };
  await using server = await serveFolder(folder, { extra, onPost: (text) => answered(JSON.parse(text) as Answer) });
  const profile = await mkdtemp(join(tmpdir(), "pare-browser-"));
  const child = spawn(browser, browserArguments(profile, `${server.url}parity.html`), { stdio: "ignore" });
  const timer = setTimeout(() => answered({ failed: `no answer within ${LIMIT_MS / 60_000} minutes` }), LIMIT_MS);
  const stop = () => answered({});
  signal?.addEventListener("abort", stop, { once: true });
  child.once("error", (error) => answered({ failed: `"${browser}" did not start: ${messageOf(error)}` }));
  child.once("exit", (code) => answered({ failed: `"${browser}" ended with code ${code}` }));
  try {
    return await answer.then((found) => (signal?.throwIfAborted(), found));
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    await ended(child);
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

function browserArguments(profile: string, url: string): string[] {
  const isRoot = process.getuid?.() === 0; // for whom Chromium has no sandbox
  return [
    "--headless=new",
    "--no-first-run",
    "--disable-gpu",
    "--disable-extensions",
    `--user-data-dir=${profile}`,
    ...(isRoot ? ["--no-sandbox"] : []),
    url,
  ];
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}
