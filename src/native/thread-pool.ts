// Threads that stay from one graph to the next. Without a pool the CPU backend starts its threads anew for every graph, which
// a small model's decode feels in each token and an observed one in each node.
import koffi from "koffi";

import { ggml_backend_dev_type } from "./abi.gen.js";
import type { Engine } from "./engine.js";
import { NativeHandle } from "./handle.js";

/** Room for `ggml_threadpool_params` with its mask of 512 CPUs; ggml itself fills it. */
const PARAMETERS_BYTES = 1024;

type Types = Record<"create" | "free", ReturnType<typeof koffi.proto>>;
let types: Types | undefined;

export class ThreadPool extends NativeHandle {
  readonly threads: number;

  private constructor(pointer: bigint, threads: number, free: (pointer: bigint) => void) {
    super(pointer, free);
    this.threads = threads;
  }

  /** Starts the threads, or returns undefined where one is enough or the backend has no pools. */
  static create(engine: Engine, threads: number): ThreadPool | undefined {
    const { ggml } = engine;
    const device = ggml.ggml_backend_dev_by_type(ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU);
    if (threads < 2 || device === null) return undefined;
    const registry = ggml.ggml_backend_dev_backend_reg(device);
    const create = ggml.ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_new");
    const free = ggml.ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_free");
    if (create === null || free === null) return undefined;
    types ??= {
      create: koffi.proto("void *GgmlThreadPoolNew(void *params)"),
      free: koffi.proto("void GgmlThreadPoolFree(void *pool)"),
    };
    const { create: createType, free: freeType } = types;
    const parameters = new Uint8Array(new ArrayBuffer(PARAMETERS_BYTES));
    ggml.ggml_threadpool_params_init(koffi.address(parameters), threads);
    const pointer = koffi.call(create, createType, koffi.address(parameters)) as bigint | null;
    if (pointer === null) return undefined;
    return new ThreadPool(pointer, threads, (pool) => koffi.call(free, freeType, pool));
  }
}
