// Is this machine ready for Pare? Looks at Node, the engine's package and self-check, devices, memory and disk.
import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { availableParallelism, freemem, totalmem } from "node:os";
import { basename } from "node:path";

import { PareError, messageOf } from "./errors.js";
import { physicalCores } from "./native/cores.js";
import { type Engine, type EngineDevice, loadEngine, moduleRoots } from "./native/engine.js";
import { type Backend, installedBackends } from "./native/platform.js";
import { formatBytes } from "./support/units.js";

const NODE_MAJOR = 20;
const MEMORY_LOW_BYTES = 2e9; // a 1 B model at 8 bits with its cache
const DISK_LOW_BYTES = 5e9;

/** One line of the doctor's findings. */
export interface DoctorCheck {
  name: string;
  status: "ok" | "warn" | "fail";
  found: string;
  /** What to change, where something is to be changed. */
  hint: string | null;
}

/** What `doctor` found. */
export interface DoctorReport {
  /** True when no check failed. */
  ok: boolean;
  checks: DoctorCheck[];
  platform: string;
  backend: Backend | null;
  /** The CPU library that the engine chose for this processor. */
  cpuLibrary: string | null;
  devices: EngineDevice[];
  /** Backends whose package is installed, best first. */
  backendsInstalled: Backend[];
  /** Threads to use: physical cores that this process may use. */
  threads: number;
  memoryTotalBytes: number;
  memoryFreeBytes: number;
  diskFreeBytes: number;
  versions: Record<string, string>;
}

/**
 * Looks whether this machine is ready.
 *
 * @param options.backend engine build to check; absent: the one that would be used
 * @param options.folder results would be written here; absent: the current folder
 * @returns findings; it throws for nothing that it can report
 */
export async function doctor(options: { backend?: Backend; folder?: string } = {}): Promise<DoctorReport> {
  const engine = tryEngine(options.backend);
  const { bavail, bsize } = await statfs(options.folder ?? ".");
  const loaded = engine instanceof Error ? undefined : engine;
  const facts = {
    cpuLibrary: loaded ? loadedCpuLibrary() : null,
    devices: (loaded?.devices ?? []).map((device) => ({ ...device })),
    backendsInstalled: installedBackends({
      platform: process.platform,
      architecture: process.arch,
      roots: moduleRoots(),
    }),
    threads: physicalCores(),
    memoryTotalBytes: totalmem(),
    memoryFreeBytes: availableMemoryBytes(),
    diskFreeBytes: bavail * bsize,
  };
  const checks = [
    checkNode(),
    checkEngine(engine),
    ...(loaded ? [checkSelf(loaded), checkCpu(facts.cpuLibrary), checkDevices(loaded)] : []),
    checkThreads(facts.threads),
    checkMemory(facts),
    checkDisk(facts.diskFreeBytes),
  ];
  return {
    ok: checks.every(({ status }) => status !== "fail"),
    checks,
    platform: `${process.platform}-${process.arch}`,
    backend: loaded?.backend ?? null,
    ...facts,
    versions: versions(loaded),
  };
}

function tryEngine(backend: Backend | undefined): Engine | Error {
  try {
    return loadEngine(backend ? { backend } : {});
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

function checkNode(): DoctorCheck {
  const isNew = Number(process.versions.node.split(".")[0]) >= NODE_MAJOR;
  return isNew
    ? ok("node", `Node ${process.versions.node}`)
    : fail("node", `Node ${process.versions.node}`, `Install Node ${NODE_MAJOR} or newer`);
}

function checkEngine(engine: Engine | Error): DoctorCheck {
  if (engine instanceof Error) {
    const hint = engine instanceof PareError ? engine.hint : undefined;
    return fail("engine", engine.message, hint ?? "Remove node_modules and run npm ci again");
  }
  return ok("engine", `${engine.libraries.packageName} ${engine.libraries.packageVersion}, backend ${engine.backend}`);
}

/** The engine refuses to load when its structs or versions are not those expected, so loaded means checked. */
function checkSelf(engine: Engine): DoctorCheck {
  return ok("self-check", `structs as expected; llama ${engine.llamaVersion}, ggml ${engine.ggmlVersion}`);
}

function checkCpu(library: string | null): DoctorCheck {
  return library
    ? ok("processor", `CPU library ${library}`)
    : warn("processor", "no CPU library of its own was seen", "Expected where CPU code is built into the engine");
}

function checkDevices(engine: Engine): DoctorCheck {
  const gpus = engine.devices.filter(({ kind }) => kind === "gpu" || kind === "igpu");
  if (gpus.length > 0) return ok("devices", gpus.map(({ name, description }) => `${name}: ${description}`).join("; "));
  if (engine.backend === "cpu") return ok("devices", "CPU only");
  return warn("devices", `the ${engine.backend} backend found no device`, "Check the graphics driver");
}

function checkThreads(threads: number): DoctorCheck {
  const logical = availableParallelism();
  return ok("threads", `${threads} by default (${logical} logical cores; more than the physical ones is slower)`);
}

function checkMemory({
  memoryFreeBytes,
  memoryTotalBytes,
}: {
  memoryFreeBytes: number;
  memoryTotalBytes: number;
}): DoctorCheck {
  const found = `${formatBytes(memoryFreeBytes)} of ${formatBytes(memoryTotalBytes)} free`;
  if (memoryFreeBytes >= MEMORY_LOW_BYTES) return ok("memory", found);
  return warn("memory", found, "Only small models will load; close other programs");
}

function checkDisk(freeBytes: number): DoctorCheck {
  const found = `${formatBytes(freeBytes)} free`;
  return freeBytes >= DISK_LOW_BYTES ? ok("disk", found) : warn("disk", found, "Models are large; free some space");
}

/** Memory that could be had without swapping; `freemem` alone counts the page cache as taken. */
function availableMemoryBytes(): number {
  try {
    const line = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"));
    if (line) return Number(line[1]) * 1024;
  } catch {
    // not Linux
  }
  return freemem();
}

/** Name of the library that ggml picked for this processor, seen among the loaded ones. */
function loadedCpuLibrary(): string | null {
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  report.excludeNetwork = true; // looking up peers' names would take seconds
  const { sharedObjects } = report.getReport() as unknown as { sharedObjects: string[] };
  const path = sharedObjects.findLast((object) => /ggml-cpu/.test(object));
  return path ? basename(path) : null;
}

function versions(engine: Engine | undefined): Record<string, string> {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const own = { pare: (JSON.parse(text) as { version: string }).version, node: process.versions.node };
  if (!engine) return own;
  return { ...own, engine: engine.libraries.packageVersion, llama: engine.llamaVersion, ggml: engine.ggmlVersion };
}

function ok(name: string, found: string): DoctorCheck {
  return { name, status: "ok", found, hint: null };
}

function warn(name: string, found: string, hint: string): DoctorCheck {
  return { name, status: "warn", found, hint };
}

function fail(name: string, found: string, hint: string): DoctorCheck {
  return { name, status: "fail", found, hint };
}
