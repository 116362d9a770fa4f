// Energy that a machine takes while something runs: RAPL's counters on Linux, nvidia-smi for a GPU, powermetrics on a Mac. Whoever
// has none of them, or no right to read them, gets no meter; nothing is guessed here.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import type { MeasuredEnergy } from "../cost/energy.js";

/** A meter at work. */
export interface EnergyMeter extends Disposable {
  readonly source: MeasuredEnergy["source"];
  /** Joules between two instants, as `Date.now()` states them; undefined where nothing was read in between. */
  joulesBetween(startMs: number, endMs: number): number | undefined;
  /** Reads a counter now; sampling meters read on their own. */
  note(): void;
}

/** The first meter that works here. `onGpu`: only one that sees the GPU. */
export function startEnergyMeter({
  onGpu,
  raplFolder = RAPL_FOLDER,
}: {
  onGpu: boolean;
  raplFolder?: string;
}): EnergyMeter | undefined {
  if (process.platform === "darwin") return SampledMeter.start("powermetrics", POWERMETRICS, parsePowermetrics);
  if (onGpu) return SampledMeter.start("nvidia-smi", NVIDIA_SMI, parseNvidiaSmi);
  return RaplMeter.open(raplFolder);
}

const RAPL_FOLDER = "/sys/class/powercap";
const SAMPLE_MS = 100;
const NVIDIA_SMI = [
  "nvidia-smi",
  "--query-gpu=timestamp,power.draw",
  "--format=csv,noheader,nounits",
  "-lms",
  String(SAMPLE_MS),
];
const POWERMETRICS = ["powermetrics", "--samplers", "cpu_power,gpu_power", "-i", String(SAMPLE_MS)];

/** Running Average Power Limit: counters of microjoules, one for each processor package, that wrap around. */
export class RaplMeter implements EnergyMeter {
  readonly source = "rapl";
  readonly #packages: { path: string; rangeMicrojoules: number }[];
  readonly #readings: { time: number; microjoules: number[] }[] = [];

  private constructor(packages: { path: string; rangeMicrojoules: number }[]) {
    this.#packages = packages;
  }

  /** Undefined where there is none, or none that may be read: since 2020 only root may. */
  static open(folder: string): RaplMeter | undefined {
    try {
      const packages = readdirSync(folder)
        .filter((name) => /^intel-rapl:\d+$/.test(name)) // AMD's, too; deeper ones are parts of these
        .map((name) => ({
          path: join(folder, name, "energy_uj"),
          rangeMicrojoules: readNumber(join(folder, name, "max_energy_range_uj")),
        }));
      for (const { path } of packages) readNumber(path);
      return packages.length > 0 ? new RaplMeter(packages) : undefined;
    } catch {
      return undefined;
    }
  }

  note(time = Date.now()): void {
    this.#readings.push({ time, microjoules: this.#packages.map(({ path }) => readNumber(path)) });
  }

  joulesBetween(startMs: number, endMs: number): number | undefined {
    const from = this.#readings.findLast(({ time }) => time <= startMs);
    const to = this.#readings.find(({ time }) => time >= endMs);
    if (!from || !to || from === to) return undefined;
    return this.#packages.reduce((sum, { rangeMicrojoules }, index) => {
      const difference = to.microjoules[index]! - from.microjoules[index]!;
      return sum + (difference < 0 ? difference + rangeMicrojoules : difference) / 1e6;
    }, 0);
  }

  [Symbol.dispose](): void {}
}

/** A program that prints watts again and again. */
export class SampledMeter implements EnergyMeter {
  readonly source: MeasuredEnergy["source"];
  readonly #child: ChildProcess;
  readonly #parse: (text: string, startedAt: number) => PowerSample[];
  readonly #startedAt = Date.now();
  /** Resolves when the program has ended, or could not be started. */
  readonly ended: Promise<void>;
  #text = "";

  private constructor(
    source: MeasuredEnergy["source"],
    child: ChildProcess,
    parse: (text: string, startedAt: number) => PowerSample[],
  ) {
    this.source = source;
    this.#child = child;
    this.#parse = parse;
    this.ended = new Promise((resolve) => {
      child.once("error", () => resolve()); // there is no such program: no samples
      child.once("close", () => resolve());
    });
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#text += text));
  }

  static start(
    source: MeasuredEnergy["source"],
    [program, ...options]: string[],
    parse: (text: string, startedAt: number) => PowerSample[],
  ): SampledMeter {
    return new SampledMeter(source, spawn(program!, options, { stdio: ["ignore", "pipe", "ignore"] }), parse);
  }

  note(): void {}

  /** Mean of the samples in between × time. */
  joulesBetween(startMs: number, endMs: number): number | undefined {
    const within = this.#parse(this.#text, this.#startedAt).filter(({ time }) => time >= startMs && time <= endMs);
    if (within.length === 0) return undefined;
    const watts = within.reduce((sum, sample) => sum + sample.watts, 0) / within.length;
    return (watts * (endMs - startMs)) / 1000;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

export interface PowerSample {
  /** As `Date.now()`. */
  time: number;
  watts: number;
}

/** Lines such as `2026/03/14 09:26:53.589, 71.52`, one for each GPU at each time; the watts of all GPUs add up. */
export function parseNvidiaSmi(text: string): PowerSample[] {
  const byTime = new Map<number, number>();
  for (const line of text.split("\n")) {
    const match = /^(\d{4})\/(\d\d)\/(\d\d) (\d\d:\d\d:\d\d\.\d+), ([\d.]+)\s*$/.exec(line);
    if (!match) continue;
    const time = new Date(`${match[1]}-${match[2]}-${match[3]}T${match[4]}`).getTime(); // local time, as it is printed
    byTime.set(time, (byTime.get(time) ?? 0) + Number(match[5]));
  }
  return [...byTime].map(([time, watts]) => ({ time, watts }));
}

/** Blocks that begin with how long they cover, and hold `Combined Power (CPU + GPU + ANE): 4321 mW`. */
export function parsePowermetrics(text: string, startedAt: number): PowerSample[] {
  const samples: PowerSample[] = [];
  let time = startedAt;
  for (const line of text.split("\n")) {
    const elapsed = /\(([\d.]+)ms elapsed\)/.exec(line);
    if (elapsed) time += Number(elapsed[1]);
    const power = /^Combined Power[^:]*: ([\d.]+) mW/.exec(line);
    if (power) samples.push({ time, watts: Number(power[1]) / 1000 });
  }
  return samples;
}

function readNumber(path: string): number {
  const value = Number(readFileSync(path, "utf8"));
  if (!Number.isFinite(value)) throw new RangeError(`"${path}" holds no number`);
  return value;
}
