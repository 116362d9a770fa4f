import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";

import { RaplMeter, SampledMeter, parseNvidiaSmi, parsePowermetrics } from "./energy-meter.js";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true })));

function powercap(packages: Record<string, number>): { folder: string; set: (name: string, value: number) => void } {
  const folder = mkdtempSync(join(tmpdir(), "powercap-"));
  folders.push(folder);
  const set = (name: string, value: number): void => writeFileSync(join(folder, name, "energy_uj"), `${value}\n`);
  for (const [name, value] of Object.entries(packages)) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "max_energy_range_uj"), "1000000\n");
    set(name, value);
  }
  return { folder, set };
}

test("RaplMeter sums the packages, not their parts, and survives a counter that wraps around", () => {
  const { folder, set } = powercap({ "intel-rapl:0": 900_000, "intel-rapl:1": 100_000, "intel-rapl:0:0": 5 });
  const meter = RaplMeter.open(folder)!;
  meter.note(1000);
  set("intel-rapl:0", 150_000); // through 1 000 000
  set("intel-rapl:1", 400_000);
  set("intel-rapl:0:0", 900_000);
  meter.note(2000);
  expect(meter.joulesBetween(1000, 2000)).toBeCloseTo(0.25 + 0.3, 9);
  expect(meter.joulesBetween(500, 2000)).toBeUndefined(); // nothing was read before
});

test("RaplMeter is none where there are no counters or they may not be read", () => {
  expect(RaplMeter.open(join(tmpdir(), "no-such-powercap"))).toBeUndefined();
  const { folder } = powercap({});
  expect(RaplMeter.open(folder)).toBeUndefined();
});

test("parseNvidiaSmi() adds up GPUs of one instant and skips what is no sample", () => {
  const text = [
    "2026/03/14 09:26:53.500, 70.00",
    "2026/03/14 09:26:53.500, 30.50",
    "2026/03/14 09:26:53.600, [N/A]",
    "2026/03/14 09:26:53.600, 80.00",
    "2026/03/14 09:26:5",
  ].join("\n");
  const samples = parseNvidiaSmi(text);
  expect(samples.map(({ watts }) => watts)).toEqual([100.5, 80]);
  expect(samples[1]!.time - samples[0]!.time).toBe(100);
});

test("parsePowermetrics() places each block by the time that it covers", () => {
  const block = (ms: number, milliwatts: number): string =>
    `*** Sampled system activity (Sat Mar 14 09:26:53 2026 +0100) (${ms}ms elapsed) ***\nCPU Power: 1 mW\nCombined Power (CPU + GPU + ANE): ${milliwatts} mW\n`;
  expect(parsePowermetrics(block(100.5, 4000) + block(99.5, 6000), 1000)).toEqual([
    { time: 1100.5, watts: 4 },
    { time: 1200, watts: 6 },
  ]);
});

test("SampledMeter integrates what a program prints, and says nothing where there is no such program", async () => {
  const line = `*** (50ms elapsed) ***\nCombined Power (CPU + GPU + ANE): 8000 mW`;
  using meter = SampledMeter.start("powermetrics", ["node", "-p", JSON.stringify(line)], parsePowermetrics);
  await meter.ended;
  expect(meter.joulesBetween(0, 1e15)).toBeCloseTo(8 * 1e12, -3); // 8 W, the only sample
  expect(meter.joulesBetween(0, 1)).toBeUndefined();
  using absent = SampledMeter.start("powermetrics", ["no-such-program-here"], parsePowermetrics);
  await absent.ended;
  expect(absent.joulesBetween(0, 1e15)).toBeUndefined();
});
