// The child's side of `isolate`: waits for a job, runs it, answers, ends. Ends, too, when the parent is gone.
import { rmSync } from "node:fs";

import { announceUnfinished, unfinishedPaths } from "../support/files.js";
import type { FromJob, Job, JobContext, ToJob } from "./isolate.js";
import { transportError } from "./transport-error.js";

const queue: unknown[] = [];
let ended = false;
let wake: (() => void) | undefined;

process.on("SIGINT", () => undefined); // Ctrl-C reaches the whole group; the parent decides what it means
process.on("disconnect", () => process.exit(0));
process.on("exit", () => unfinishedPaths().forEach((path) => rmSync(path, { force: true }))); // the parent is gone
announceUnfinished((path) => send({ kind: "unfinished", path }));
process.on("message", (message: ToJob) => {
  if (message.kind === "start") void start(message.job, message.input);
  else if (message.kind === "message") queue.push(message.message);
  else ended = true;
  wake?.();
});

const context: JobContext = {
  progress: (progress) => send({ kind: "progress", progress }),
  emit: (event) => send({ kind: "event", event }),
  flush: () => new Promise((resolve) => setImmediate(resolve)),
  async *messages() {
    for (;;) {
      while (queue.length > 0) yield queue.shift();
      if (ended) return;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  },
};

async function start(job: string, input: unknown): Promise<void> {
  try {
    const module = (await import(new URL(`../${job}.js`, import.meta.url).href)) as { run: Job<unknown, unknown> };
    finish({ kind: "result", output: await module.run(input, context) });
  } catch (error) {
    finish({ kind: "error", error: transportError(error) });
  }
}

function send(message: FromJob): void {
  if (process.connected) process.send!(message);
}

/** Exits at once after the last message: destructors of a library that holds the process's memory take time for nothing. */
function finish(message: FromJob): void {
  if (!process.connected) process.exit(1);
  process.send!(message, undefined, undefined, () => process.exit(0));
}
