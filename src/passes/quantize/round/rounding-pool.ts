// Rounding on worker threads: a task is rows of one matrix with the Hessian of their input, and runs in one worker from the
// factorisation to the packed bytes. A worker that is given the same Hessian again has its factor still.
import { Worker } from "node:worker_threads";

import type { GgmlType } from "../../../formats/gguf/ggml-types.js";
import { EngineError } from "../../../errors.js";
import type { Effort, RoundingSolution } from "./problem.js";

/** The input that rows multiply, as `RoundingTask` shares it among all rows of a layer. */
export interface RoundingInput {
  /** Told apart by it: the same name is the same Hessian. */
  key: string;
  columns: number;
  /** Mean x xᵀ, damped, [columns × columns]; in shared memory it is not copied. */
  hessian: Float32Array;
  /** Mean x² per column, for ggml's own encoders. */
  importance: Float32Array;
  /** Of `driftOf`, where the input has drifted. */
  drift?: Float32Array | undefined;
  /** How far targets follow the drift, 0 to 1. */
  driftShare?: number | undefined;
}

export interface RoundingTask {
  input: RoundingInput;
  /** Rows to round [columns × rows], handed over: they can't be used any more. */
  weights: Float32Array;
  rows: number;
  /** What to round them to; several for a comparison. */
  types: readonly GgmlType[];
  effort: Effort;
}

/** What became of a task's rows. */
export interface RoundedRows {
  /** One for each type. */
  solutions: RoundingSolution[];
  /** w H wᵀ of each row: the loss of rounding all to zero. */
  powers: Float64Array;
}

/** What a worker answers. */
export type FromWorker = { rounded: RoundedRows } | { error: string; name: string };

interface Pending {
  task: RoundingTask;
  resolve: (rounded: RoundedRows) => void;
  reject: (error: unknown) => void;
}

/** So many workers, each with a kernel of its own. */
export class RoundingPool implements AsyncDisposable {
  readonly #idle: Worker[] = [];
  readonly #workers: Worker[];
  readonly #queue: Pending[] = [];
  readonly #underWay = new Map<Worker, Pending>();

  constructor(threads: number) {
    this.#workers = Array.from({ length: threads }, () => this.#start());
    this.#idle.push(...this.#workers);
  }

  /** Rounds a task's rows. Tasks run side by side, as many as there are workers. */
  round(task: RoundingTask): Promise<RoundedRows> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ task, resolve, reject });
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
      else pending.resolve(message.rounded);
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
      worker.postMessage(pending.task, [pending.task.weights.buffer as ArrayBuffer]);
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
