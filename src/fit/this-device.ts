// The machine at hand as a device: its memory (or what its container may take), its disk, and the rate at which it reads
// memory. The rate is measured by running through buffers that no usual cache holds, on every physical core at once,
// because that is what decoding a token does with the weights.
import { statfs } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { Worker } from "node:worker_threads";

import type { DeviceInput } from "./device.js";

/** Bytes that each thread runs through per pass. Smaller buffers would measure the cache of some machines. */
const BUFFER_BYTES = 256e6;
/** Long enough for a clock that rises under load and for a neighbour on a shared machine. */
const MEASURED_MS = 400;
/** The system, a browser and what else is open take the rest. */
const MEMORY_SHARE = 0.8;

/** Measures the machine at hand: about half a second. */
export async function measureThisDevice(
  options: { threads?: number; signal?: AbortSignal } = {},
): Promise<DeviceInput> {
  const memoryBytes = memoryLimitBytes();
  const { bavail, bsize } = await statfs(process.cwd());
  return {
    name: `this machine (${cpus()[0]?.model.trim() || process.arch})`,
    memoryBytes,
    memoryForModelsShare: MEMORY_SHARE,
    storageBytes: Math.max(1, bavail * bsize),
    bandwidthBytesPerSecond: await measureReadBandwidth({ memoryBytes, ...options }),
    bandwidthSource: "measured",
    sources: [
      { what: "memoryBytes: physical memory, or the limit of the container (cgroup) where it is lower" },
      { what: `memoryForModelsShare: estimate; a fifth stays with the system and other programs` },
      { what: "storageBytes: free space on the disk of the working directory" },
      { what: "bandwidthBytesPerSecond: measured by reading memory on all cores" },
    ],
  };
}

/** Physical memory, or what the container (cgroup) grants where that is less. */
export function memoryLimitBytes(): number {
  const granted = process.constrainedMemory(); // 0 or a huge number where there is no limit
  return granted > 0 ? Math.min(granted, totalmem()) : totalmem();
}

/**
 * Rate at which this machine reads memory, in bytes per second.
 *
 * Each thread searches its own buffer for a byte that is not there, which is a vectorized, read-only pass; the rates of
 * all threads add up.
 *
 * @param options.threads usual and best: one per physical core
 */
export async function measureReadBandwidth(
  options: { threads?: number; memoryBytes?: number; milliseconds?: number; signal?: AbortSignal } = {},
): Promise<number> {
  const { threads = availableParallelism(), memoryBytes = memoryLimitBytes(), milliseconds = MEASURED_MS } = options;
  options.signal?.throwIfAborted();
  // Never more than an eighth of the memory in all, so that a small container survives the measurement.
  const bufferBytes = Math.max(1e6, Math.floor(Math.min(BUFFER_BYTES, memoryBytes / 8 / threads)));
  const go = new Int32Array(new SharedArrayBuffer(4));
  const workers = Array.from(
    { length: threads },
    () => new Worker(READER, { eval: true, workerData: { bufferBytes, milliseconds, go } }),
  );
  const stop = () => void Promise.all(workers.map((worker) => worker.terminate()));
  options.signal?.addEventListener("abort", stop, { once: true });
  try {
    await Promise.all(workers.map((worker) => nextMessage(worker))); // every buffer is filled before any is read
    Atomics.store(go, 0, 1);
    Atomics.notify(go, 0);
    const rates = await Promise.all(workers.map((worker) => nextMessage(worker)));
    return Math.round(rates.reduce((sum, rate) => sum + rate, 0));
  } finally {
    options.signal?.removeEventListener("abort", stop);
    options.signal?.throwIfAborted();
  }
}

// Text, not a module: a worker must run the same from source and from the built package.
const READER = `
const { parentPort, workerData } = require("node:worker_threads");
const { bufferBytes, milliseconds, go } = workerData;
const buffer = Buffer.alloc(bufferBytes, 1); // not zeros: untouched zero pages all share one physical page
parentPort.postMessage("ready");
Atomics.wait(go, 0, 0);
const start = performance.now();
let passes = 0;
let found = 0;
do {
  found += buffer.indexOf(2);
  passes++;
} while (performance.now() - start < milliseconds);
const seconds = (performance.now() - start) / 1000;
parentPort.postMessage(found === -passes ? (passes * bufferBytes) / seconds : 0);
`;

function nextMessage<Message = number>(worker: Worker): Promise<Message> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the memory reader ended early")));
  });
}
