// The examples are what they say: requests, devices and tasks that Pare accepts, scripts that parse, and one that runs.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { readRequestFile } from "../src/cli/request-file.js";
import { SCORER_NAMES, SCORERS } from "../src/evaluate/scorers/registry.js";
import { readTask } from "../src/evaluate/tasks/read-task.js";
import { readDevice } from "../src/fit/device.js";
import { parseFitRequest } from "../src/fit/fit.js";
import { fitRequestSchema } from "../src/fit/request.js";
import { enumerateCandidates } from "../src/passes/quantize/mixes.js";
import { openModel } from "../src/model/open.js";
import { ROOT } from "./markdown.js";

const EXAMPLES = join(ROOT, "examples");
const FILES = readdirSync(EXAMPLES, { recursive: true, encoding: "utf8" });
const REQUESTS = FILES.filter((name) => name.endsWith(".yaml"));
const DEVICES = FILES.filter((name) => name.endsWith(".json"));
const TASKS = FILES.filter((name) => name.endsWith(".jsonl"));
const SCRIPTS = FILES.filter((name) => name.endsWith(".mjs"));

const MODEL = join(ROOT, "models/home-commands-f16.gguf");
const TEXT = join(ROOT, "models/home-commands-calibration.txt");

test.each(REQUESTS)("examples/%s is a request whose files are there", async (name) => {
  const request = parseFitRequest(await readRequestFile(join(EXAMPLES, name)));
  const device = await readDevice(request.device);
  expect(device.memoryBytes).toBeGreaterThan(0);
  for (const path of [...request.models, request.task!]) expect(existsSync(path), path).toBe(true);
  expect((await readTask(request.task!)).cases.length).toBeGreaterThan(4);
});

test("examples/pare.yaml shows every key of a request", () => {
  const text = readFileSync(join(EXAMPLES, "pare.yaml"), "utf8");
  const shown = new Set([...text.matchAll(/^(?:# )?(\w+):(?=\s|$)/gm)].map((match) => match[1]!));
  expect(Object.keys(fitRequestSchema.shape).filter((key) => !shown.has(key))).toEqual([]);
});

test.skipIf(!existsSync(MODEL))("examples/pare.yaml names candidates that there are", async () => {
  const { candidates = [] } = parseFitRequest(await readRequestFile(join(EXAMPLES, "pare.yaml")));
  await using model = await openModel(MODEL);
  const names = new Set(enumerateCandidates(model, { hasImportance: true }).map(({ name }) => name));
  expect(candidates.filter((name) => !names.has(name))).toEqual([]);
});

test.each(DEVICES)("examples/%s is a device", async (name) => {
  expect((await readDevice(join(EXAMPLES, name))).memoryBytes).toBeGreaterThan(0);
});

test("examples/custom-task/cases.jsonl has a case for each scorer that asks no other model", async () => {
  expect(TASKS).toEqual([join("custom-task", "cases.jsonl")]);
  const { cases } = await readTask(join(EXAMPLES, TASKS[0]!));
  expect(new Set(cases.map(({ scorer }) => scorer))).toEqual(
    new Set(SCORER_NAMES.filter((name) => !("asksModel" in SCORERS[name]))),
  );
});

test.each(SCRIPTS)("examples/%s parses", (name) => {
  const { status, stderr } = spawnSync(process.execPath, ["--check", join(EXAMPLES, name)], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

test.skipIf(!existsSync(MODEL))("examples/quantize-and-compare.mjs prints a line for each type", () => {
  const script = join(EXAMPLES, "quantize-and-compare.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, MODEL, TEXT, "q4_0"], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout.split("\n")).toEqual([
    expect.stringMatching(/^type +bytes/),
    expect.stringMatching(/^q4_0 +\d+ +4\.\d\d +0\.0\d+ ± 0\.0\d+$/),
    "",
  ]);
});
