// Rounding on worker threads: a task is rows of one matrix with the Hessian of their input, and runs in one worker from the
// factorisation to the packed bytes. A worker that is given the same Hessian again has its factor still.
import { Worker } from "node:worker_threads";

import type { GgmlType } from "../../../formats/gguf/ggml-types.js";
import { EngineError, PareError, messageOf } from "../../../errors.js";
import { type TransportedError, rebuildError } from "../../../native/transport-error.js";
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
export type FromWorker = { rounded: RoundedRows } | { error: TransportedError };

interface Pending {
  task: RoundingTask;
  resolve: (rounded: RoundedRows) => void;
  reject: (error: unknown) => void;
}

/** So many workers at most, each with a kernel of its own. They start with the first tasks. */
export class RoundingPool implements AsyncDisposable {
  /** Workers at most. */
  readonly threads: number;
  readonly #worker: URL;
  readonly #workers = new Set<Worker>();
  readonly #idle: Worker[] = [];
  readonly #queue: Pending[] = [];
  readonly #underWay = new Map<Worker, Pending>();
  /** Set once the pool takes no more tasks. */
  #closed: PareError | undefined;

  /** @param worker module that runs in each thread; the rounding's own by default */
  constructor(threads: number, worker = workerUrl()) {
    this.threads = Math.max(1, threads);
    this.#worker = worker;
  }

  /**
   * Rounds a task's rows. Tasks run side by side, as many as there are workers.
   *
   * @throws whatever the worker threw, with its class
   * @throws {EngineError} when the worker itself stopped; another takes its place
   */
  round(task: RoundingTask): Promise<RoundedRows> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ task, resolve, reject });
      this.#dispatch();
    });
  }

  /** Gives back the memory of workers that have nothing to do; others start with the next tasks. */
  async rest(): Promise<void> {
    const idle = this.#idle.splice(0);
    for (const worker of idle) this.#workers.delete(worker);
    await Promise.all(idle.map((worker) => worker.terminate()));
  }

  /** Stops all workers. Tasks that are not done are rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= new PareError("The rounding was stopped before it was done");
    for (const { reject } of [...this.#underWay.values(), ...this.#queue.splice(0)]) reject(this.#closed);
    await Promise.all([...this.#workers].map((worker) => worker.terminate()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      if (this.#closed) return void this.#queue.splice(0).forEach(({ reject }) => reject(this.#closed));
      const worker = this.#idle.pop() ?? (this.#workers.size < this.threads ? this.#start() : undefined);
      if (!worker) return;
      const pending = this.#queue.shift()!;
      try {
        worker.postMessage(pending.task, [pending.task.weights.buffer as ArrayBuffer]);
        this.#underWay.set(worker, pending);
      } catch (error) {
        pending.reject(error); // weights that can't be handed over
        this.#idle.push(worker);
      }
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#worker);
    this.#workers.add(worker);
    worker.on("message", (message: FromWorker) => {
      const pending = this.#underWay.get(worker);
      this.#underWay.delete(worker);
      this.#idle.push(worker);
      if ("error" in message) pending?.reject(rebuildError(message.error));
      else pending?.resolve(message.rounded);
      this.#dispatch();
    });
    worker.on("error", (cause) => this.#lose(worker, cause));
    worker.on("exit", (code) => this.#lose(worker, new Error(`exit code ${code}`)));
    return worker;
  }

  /** A worker that stopped takes its task with it, and leaves its place to another. */
  #lose(worker: Worker, cause: unknown): void {
    if (!this.#workers.delete(worker)) return; // told of its end twice
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    const pending = this.#underWay.get(worker);
    this.#underWay.delete(worker);
    pending?.reject(new EngineError(`A rounding worker stopped: ${messageOf(cause)}`, { cause }));
    this.#dispatch();
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
