// Measures the speed of kinds of matrix product; runs in a child process.
import { physicalCores } from "../native/cores.js";
import { loadEngine } from "../native/engine.js";
import type { JobContext } from "../native/isolate.js";
import { productSecondsPerByte } from "../native/product-speed.js";
import { ThreadPool } from "../native/thread-pool.js";
import { type ProductKind, productKey } from "./decode-model.js";

export interface ProductsRequest {
  kinds: ProductKind[];
  threads?: number | undefined;
}

/** @returns seconds per byte by `productKey`; kinds that ggml can't multiply are left out */
export async function run(
  { kinds, threads = physicalCores() }: ProductsRequest,
  job: JobContext,
): Promise<[string, number][]> {
  const engine = loadEngine();
  using threadPool = ThreadPool.create(engine, threads);
  const clock = (work: () => void): number => {
    const start = performance.now();
    work();
    return (performance.now() - start) / 1000;
  };
  const speeds: [string, number][] = [];
  for (const [index, kind] of kinds.entries()) {
    speeds.push([
      productKey(kind),
      productSecondsPerByte(engine, { ...kind, threads, threadPool, repack: true, clock }),
    ]);
    job.progress({ stage: "timing products", done: index + 1, total: kinds.length, unit: "kinds" });
    await job.flush();
  }
  return speeds;
}
