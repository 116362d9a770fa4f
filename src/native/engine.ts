// The native engine: llama.cpp and ggml, loaded once per process. Everything native starts from the `Engine` this returns.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import koffi from "koffi";

import { EngineError, UsageError } from "../errors.js";
import { ggml_backend_dev_type } from "./abi.gen.js";
import { type GgmlFunctions, type LlamaFunctions, bindBase, bindLibraries } from "./bindings.js";
import { EngineLog } from "./log.js";
import { BACKENDS, type Backend, type EngineLibraries, findEngineLibraries } from "./platform.js";
import { checkBase, selfCheck } from "./self-check.js";

export interface EngineDevice {
  name: string;
  description: string;
  kind: "cpu" | "gpu" | "igpu" | "accelerator";
  memoryFreeBytes: number;
  memoryTotalBytes: number;
}

/** What encoding and decoding weights takes: the functions of ggml's base library. */
export interface GgmlLibrary {
  /** ggml.h, ggml-alloc.h, ggml-backend.h and gguf.h. */
  readonly ggml: GgmlFunctions;
}

export interface Engine extends GgmlLibrary {
  readonly backend: Backend;
  readonly libraries: EngineLibraries;
  readonly llamaVersion: string;
  readonly ggmlVersion: string;
  /** llama.h. */
  readonly llama: LlamaFunctions;
  readonly log: EngineLog;
  readonly devices: readonly EngineDevice[];
  /** llama.cpp's own line about instruction sets and build options. */
  readonly systemInfo: string;
}

let loaded: Engine | undefined;

/**
 * Loads the engine, or returns the one that is loaded.
 *
 * @param options.backend absent: `PARE_BACKEND`, else the best backend whose package is installed
 * @throws {EngineError} with a hint when the package is absent, of another version, or can't be loaded
 * @throws {UsageError} when the backend's name is unknown
 */
export function loadEngine(options: { backend?: Backend | undefined } = {}): Engine {
  const backend = options.backend ?? backendFromEnvironment();
  if (loaded) {
    if (!backend || backend === loaded.backend) return loaded;
    throw new EngineError(`The engine runs on ${loaded.backend} already; another backend needs another process`);
  }
  loaded = startEngine(findLibraries(backend));
  return loaded;
}

/**
 * Loads ggml's base library alone, which takes a fraction of the engine's start: its types with their encoders and
 * decoders. It holds no code of one processor's kind, starts no threads and runs no model.
 *
 * @throws {EngineError} as `loadEngine` does
 */
export function loadGgml(): GgmlLibrary {
  base ??= loaded ?? startBase(findLibraries(backendFromEnvironment()));
  return base;
}

let base: GgmlLibrary | undefined;

function startBase(libraries: EngineLibraries): GgmlLibrary {
  const ggml = bindBase(libraries);
  checkBase(ggml);
  return { ggml };
}

function findLibraries(backend: Backend | undefined): EngineLibraries {
  if (process.arch === "ia32" || process.arch === "arm") {
    throw new EngineError(`Pare needs a 64-bit Node; this one is ${process.arch}`);
  }
  return findEngineLibraries({
    platform: process.platform,
    architecture: process.arch,
    backend,
    roots: moduleRoots(),
  });
}

/** `node_modules` folders in which Node would look for a package required from here. */
export function moduleRoots(): string[] {
  const here = dirname(fileURLToPath(import.meta.url));
  return createRequire(import.meta.url).resolve.paths("pare") ?? [join(here, "../../node_modules")];
}

/** Reads a backend's name. */
export function parseBackend(text: string): Backend {
  const backend = BACKENDS.find((name) => name === text.toLowerCase());
  if (backend) return backend;
  throw new UsageError(`"${text}" is not a backend; choose one of ${BACKENDS.join(", ")}`);
}

function backendFromEnvironment(): Backend | undefined {
  const text = process.env["PARE_BACKEND"];
  return text ? parseBackend(text) : undefined;
}

function startEngine(libraries: EngineLibraries): Engine {
  const { ggml, llama } = bindLibraries(libraries);
  const log = EngineLog.capture(llama);
  const versions = selfCheck(ggml, llama);
  loadBackends(ggml, libraries);
  const devices = listDevices(ggml);
  requireDevice(devices, libraries, log);
  llama.llama_backend_init();
  return {
    backend: libraries.backend,
    libraries,
    ...versions,
    ggml,
    llama,
    log,
    devices,
    systemInfo: llama.llama_print_system_info() ?? "",
  };
}

/** ggml picks the CPU library for this microarchitecture itself; with `cpu` asked for, GPU libraries stay unloaded. */
function loadBackends(ggml: GgmlFunctions, libraries: EngineLibraries): void {
  ggml.ggml_backend_load_all_from_path(libraries.folder);
  if (libraries.backend !== "cpu") return;
  for (let i = ggml.ggml_backend_reg_count() - 1; i >= 0; i--) {
    const registry = ggml.ggml_backend_reg_get(i);
    if (/metal/i.test(ggml.ggml_backend_reg_name(registry) ?? "")) ggml.ggml_backend_unload(registry);
  }
}

const DEVICE_KINDS: Record<number, EngineDevice["kind"]> = {
  [ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU]: "cpu",
  [ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_GPU]: "gpu",
  [ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_IGPU]: "igpu",
};

function listDevices(ggml: GgmlFunctions): EngineDevice[] {
  return Array.from({ length: ggml.ggml_backend_dev_count() }, (_, index) => {
    const device = ggml.ggml_backend_dev_get(index);
    const free = new BigUint64Array(1);
    const total = new BigUint64Array(1);
    ggml.ggml_backend_dev_memory(device, free, total);
    return {
      name: ggml.ggml_backend_dev_name(device) ?? "unknown",
      description: ggml.ggml_backend_dev_description(device) ?? "",
      kind: DEVICE_KINDS[ggml.ggml_backend_dev_type(device)] ?? "accelerator",
      memoryFreeBytes: Number(free[0]),
      memoryTotalBytes: Number(total[0]),
    };
  });
}

function requireDevice(devices: EngineDevice[], libraries: EngineLibraries, log: EngineLog): void {
  if (!devices.some(({ kind }) => kind === "cpu")) {
    throw new EngineError(`No CPU library in "${libraries.folder}" runs on this processor`, {
      log: log.recent({ all: true }),
    });
  }
  const needsGpu = libraries.backend === "cuda" || libraries.backend === "vulkan" || libraries.backend === "metal";
  if (needsGpu && !devices.some(({ kind }) => kind === "gpu" || kind === "igpu")) {
    throw new EngineError(`The ${libraries.backend} backend found no GPU`, {
      hint: "Check the driver, or choose --backend cpu",
      log: log.recent({ all: true }),
    });
  }
}

/** A view of native memory; it is valid only as long as the memory is. */
export function viewBytes(pointer: bigint, byteLength: number): ArrayBuffer {
  return koffi.view(pointer, byteLength);
}
