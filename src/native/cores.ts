// How many threads to use. The engine's threads spin at barriers, so more threads than free physical cores is many times slower.
import { readFileSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Physical cores that this process may use: hyper-threads counted once, container limits respected. */
export function physicalCores(): number {
  return Math.max(
    1,
    Math.min(availableParallelism(), linuxPhysicalCores() ?? halvedWhereThreaded(), cgroupCores() ?? Infinity),
  );
}

/** Distinct (package, core) pairs in sysfs. */
function linuxPhysicalCores(): number | undefined {
  try {
    const root = "/sys/devices/system/cpu";
    const cores = readdirSync(root)
      .filter((name) => /^cpu\d+$/.test(name))
      .map((name) => readFileSync(`${root}/${name}/topology/thread_siblings_list`, "utf8").trim());
    return cores.length > 0 ? new Set(cores).size : undefined;
  } catch {
    return undefined;
  }
}

/** CPU quota of the control group, as Docker sets it. */
function cgroupCores(): number | undefined {
  try {
    const [quota, period] = readFileSync("/sys/fs/cgroup/cpu.max", "utf8").trim().split(" ");
    return quota === "max" ? undefined : Math.max(1, Math.floor(Number(quota) / Number(period)));
  } catch {
    return undefined;
  }
}

/** Without sysfs: x64 desktops mostly run two threads a core, ARM ones never. */
function halvedWhereThreaded(): number {
  const threads = availableParallelism();
  return process.arch === "x64" && threads > 2 ? Math.ceil(threads / 2) : threads;
}
