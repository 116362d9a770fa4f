// Rounding on worker threads: a task is one Hessian with the matrices that share it, and runs in one worker from its
// factorisation to the packed bytes.
import { Worker } from "node:worker_threads";

import type { GgmlType } from "../../../formats/gguf/ggml-types.js";
import { EngineError } from "../../../errors.js";
import type { Effort, RoundingSolution } from "./problem.js";

/** Rows to round; `weights` is handed over and can't be used any more. */
export interface RowsTask {
  type: GgmlType;
  /** Targets [columns × rows]. */
  weights: Float32Array;
  rows: number;
  effort: Effort;
}

/** Matrices that share an input. */
export interface RoundingTask {
  columns: number;
  /** Mean x xᵀ, damped, [columns × columns]. */
  hessian: Float32Array;
  /** Mean x² per column, for ggml's own encoders. */
  importance: Float32Array;
  matrices: RowsTask[];
}

/** What a worker answers. */
export type FromWorker =
  | { number: number; solutions: RoundingSolution[] }
  | { number: number; error: string; name: string };

interface Pending {
  number: number;
  task: RoundingTask;
  resolve: (solutions: RoundingSolution[]) => void;
  reject: (error: unknown) => void;
}

/** So many workers, each with a kernel of its own. */
export class RoundingPool implements AsyncDisposable {
  readonly #idle: Worker[] = [];
  readonly #workers: Worker[];
  readonly #queue: Pending[] = [];
  readonly #underWay = new Map<Worker, Pending>();
  #next = 0;

  constructor(threads: number) {
    this.#workers = Array.from({ length: threads }, () => this.#start());
    this.#idle.push(...this.#workers);
  }

  /** Rounds all matrices of a task. Tasks run side by side, as many as there are workers. */
  round(task: RoundingTask): Promise<RoundingSolution[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ number: this.#next++, task, resolve, reject });
      this.#dispatch();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #start(): Worker {
    const worker = new Worker(workerUrl());
    worker.on("message", (message: FromWorker) => {
      const pending = this.#underWay.get(worker)!;
      this.#underWay.delete(worker);
      this.#idle.push(worker);
      if ("error" in message) pending.reject(Object.assign(new Error(message.error), { name: message.name }));
      else pending.resolve(message.solutions);
      this.#dispatch();
    });
    worker.on("error", (cause) => {
      this.#underWay.get(worker)?.reject(new EngineError("A rounding worker stopped", { cause }));
      this.#underWay.delete(worker);
    });
    return worker;
  }

  #dispatch(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0) {
      const worker = this.#idle.pop()!;
      const pending = this.#queue.shift()!;
      this.#underWay.set(worker, pending);
      const buffers = pending.task.matrices.map(({ weights }) => weights.buffer as ArrayBuffer);
      worker.postMessage({ number: pending.number, task: pending.task }, buffers);
    }
  }
}

/** Workers run the build: plain Node 20 can't read TypeScript, and the tests import src/. */
function workerUrl(): URL {
  const fromSource = import.meta.url.endsWith(".ts");
  return new URL(
    fromSource ? "../../../../dist/passes/quantize/round/rounding-worker.js" : "./rounding-worker.js",
    import.meta.url,
  );
}
