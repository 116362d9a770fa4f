// The worker's side of `RoundingPool`.
import { parentPort } from "node:worker_threads";

import { loadGgml } from "../../../native/engine.js";
import { transportError } from "../../../native/transport-error.js";
import { requireStorable } from "./require-storable.js";
import { roundRows } from "./round-rows.js";
import { RoundingKernel } from "./rounding-kernel.js";
import type { FromWorker, RoundedRows, RoundingTask } from "./rounding-pool.js";

const ggml = loadGgml();
const kernel = RoundingKernel.load();
let present: string | undefined;

parentPort!.on("message", (task: RoundingTask) => {
  try {
    const rounded = round(task);
    const buffers = rounded.solutions.flatMap(({ bytes, losses }) => [bytes.buffer, losses.buffer] as ArrayBuffer[]);
    parentPort!.postMessage({ rounded } satisfies FromWorker, buffers);
  } catch (error) {
    parentPort!.postMessage({ error: transportError(error) } satisfies FromWorker, []);
  }
});

function round({ input, weights, rows, types, effort }: RoundingTask): RoundedRows {
  const { columns, hessian, importance, drift, driftShare = 1 } = input;
  requireStorable(weights, columns);
  if (present !== input.key) {
    present = undefined;
    kernel.setHessian(hessian, columns);
    present = input.key;
  }
  if (drift) {
    kernel.retarget(weights, drift, driftShare);
    requireStorable(weights, columns);
  }
  const powers = kernel.powers(weights, rows);
  const work = { weights, rows, columns, importance, effort };
  return { solutions: types.map((type) => roundRows(ggml, kernel, { ...work, type })), powers };
}
