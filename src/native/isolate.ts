// Native work in a child process. llama.cpp aborts the process on a failed assertion, and a long native call can't be
// interrupted: in a child, a crash becomes an error that says what happened, and an abort is a kill.
//
// A job is a module under src/ named `<what>.job.ts` that exports `run(input, context)`. Input and output are structured-cloned.
import { type ChildProcess, fork } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { EngineError, type PareError, ResourceError } from "../errors.js";
import type { Progress, RunOptions } from "../support/progress.js";
import type { Backend } from "./platform.js";
import { type TransportedError, rebuildError } from "./transport-error.js";

/** What a job may do besides computing. */
export interface JobContext {
  progress(progress: Progress): void;
  /** Hands the parent something before the end, such as generated text. */
  emit(event: unknown): void;
  /** What the parent sends while the job runs, such as the next chat message. Ends when the parent hangs up. */
  messages(): AsyncIterableIterator<unknown>;
  /** Lets queued messages out; a job that computes without awaiting calls it now and then. */
  flush(): Promise<void>;
}

export type Job<Input, Output> = (input: Input, context: JobContext) => Promise<Output> | Output;

export interface IsolateOptions extends RunOptions {
  /** Completes the sentence "the engine stopped while …". */
  what: string;
  backend?: Backend | undefined;
  onEvent?: (event: unknown) => void;
  /** Handed a function that sends the job a message. */
  onStart?: (send: (message: unknown) => void) => void;
}

/** From parent to child. */
export type ToJob =
  | { kind: "start"; job: string; input: unknown }
  | { kind: "message"; message: unknown }
  | { kind: "end" };

/** From child to parent. */
export type FromJob =
  | { kind: "progress"; progress: Progress }
  | { kind: "event"; event: unknown }
  | { kind: "unfinished"; path: string }
  | { kind: "result"; output: unknown }
  | { kind: "error"; error: TransportedError };

const STDERR_KEPT = 8192;
/** The children, each with the unfinished files that it has told of. */
const running = new Map<ChildProcess, string[]>();

/**
 * Runs a job in a child process.
 *
 * @param job module path below src/, without extension: `evaluate/text.job`
 * @throws {EngineError} when the child dies; whatever the job or a listener threw; the signal's reason when aborted
 */
export async function isolate<Input, Output>(job: string, input: Input, options: IsolateOptions): Promise<Output> {
  options.signal?.throwIfAborted();
  const child = fork(childEntry(), {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: {
      ...process.env,
      GGML_NO_BACKTRACE: "1" /* it would start a debugger */,
      ...(options.backend ? { PARE_BACKEND: options.backend } : {}),
    },
  });
  if (running.size === 0) process.once("exit", killJobs);
  running.set(child, []);
  const onAbort = (): void => void child.kill("SIGKILL");
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await new Promise<Output>((resolve, reject) =>
      attend(child, { kind: "start", job, input }, options, resolve, reject),
    );
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    endChild(child);
    if (running.size === 0) process.off("exit", killJobs);
  }
}

/** Ends every child at once: nobody waits for them any more. */
export function killJobs(): void {
  for (const child of running.keys()) endChild(child);
}

/** A child that was killed could not remove its half-written files itself. */
function endChild(child: ChildProcess): void {
  child.kill("SIGKILL");
  for (const path of running.get(child) ?? []) rmSync(path, { force: true });
  running.delete(child);
}

function attend<Output>(
  child: ChildProcess,
  start: ToJob,
  options: IsolateOptions,
  resolve: (output: Output) => void,
  reject: (error: unknown) => void,
): void {
  let printed = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    printed = (printed + text).slice(-STDERR_KEPT);
  });
  child.on("message", (message: FromJob) => {
    if (message.kind === "unfinished") running.get(child)?.push(message.path);
    else if (message.kind === "result") resolve(message.output as Output);
    else if (message.kind === "error") reject(rebuildError(message.error));
    else {
      try {
        if (message.kind === "progress") options.onProgress?.(message.progress);
        else options.onEvent?.(message.event);
      } catch (error) {
        reject(error); // thrown on, it would end this process
      }
    }
  });
  child.on("error", (cause) => reject(new EngineError(`Cannot start a process for ${options.what}`, { cause })));
  child.on("close", (code, signal) => {
    if (options.signal?.aborted) reject(options.signal.reason);
    else reject(crashError(options.what, code, signal, printed)); // does nothing after a result
  });
  child.send(start, (error) => {
    if (error && child.exitCode === null && !child.killed)
      reject(new EngineError(`Cannot send work to a process for ${options.what}`, { cause: error }));
  });
  options.onStart?.((message) => {
    // Without a callback, a child that has just died would be one that "can't be started"; "close" says why it did.
    if (child.connected) child.send({ kind: "message", message } satisfies ToJob, () => undefined);
  });
}

/** Children run the build: plain Node 20 can't read TypeScript, and the tests import src/. */
function childEntry(): string {
  const url = new URL(
    import.meta.url.endsWith(".ts") ? "../../dist/native/isolate-child.js" : "./isolate-child.js",
    import.meta.url,
  );
  return fileURLToPath(url);
}

/** Says why a child died, from what ggml printed before it did. */
function crashError(what: string, code: number | null, signal: NodeJS.Signals | null, printed: string): PareError {
  const lines = printed
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const assertion = lines.find((line) =>
    /GGML_ASSERT|GGML_ABORT|assert|terminate called|what\(\):|fatal error|std::/i.test(line),
  );
  const killed = signal === "SIGKILL" ? "it was killed, probably for want of memory" : undefined;
  const reason =
    assertion?.replace(/^.*?: (?=GGML_ASSERT)/, "") ?? killed ?? (signal ? `signal ${signal}` : `exit code ${code}`);
  // Killed from outside says nothing about the file: the same work may succeed when there is memory.
  const Kind = signal === "SIGKILL" && !assertion ? ResourceError : EngineError;
  return new Kind(`The engine stopped while ${what}: ${reason}`, {
    hint:
      signal === "SIGKILL"
        ? "Free some memory or choose a shorter context"
        : "The file may be damaged or made for another version of llama.cpp",
    log: lines.slice(-20),
  });
}
