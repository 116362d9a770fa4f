// The worker's side of `RoundingPool`.
import { parentPort } from "node:worker_threads";

import { loadGgml } from "../../../native/engine.js";
import { messageOf } from "../../../errors.js";
import { roundRows } from "./round-rows.js";
import { RoundingKernel } from "./rounding-kernel.js";
import type { FromWorker, RoundingTask } from "./rounding-pool.js";

const ggml = loadGgml();
const kernel = RoundingKernel.load();

parentPort!.on("message", ({ number, task }: { number: number; task: RoundingTask }) => {
  try {
    const { columns, hessian, importance, matrices } = task;
    kernel.setHessian(hessian, columns);
    const solutions = matrices.map((matrix) => roundRows(ggml, kernel, { ...matrix, columns, importance }));
    const buffers = solutions.flatMap(({ bytes, losses }) => [bytes.buffer, losses.buffer] as ArrayBuffer[]);
    parentPort!.postMessage({ number, solutions } satisfies FromWorker, buffers);
  } catch (error) {
    const name = error instanceof Error ? error.name : "Error";
    parentPort!.postMessage({ number, error: messageOf(error), name } satisfies FromWorker);
  }
});
