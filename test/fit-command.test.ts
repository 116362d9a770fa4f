// `pare fit` as a shell runs it: the request from flags and files, verdicts as exit codes. What a fit finds is tested elsewhere.
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");

beforeAll(async () => {
  await writeSyntheticModel(model, { type: "f16" });
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(400));
});
afterAll(() => inputs[Symbol.dispose]());

test("fit with a limit that nothing fits says INFEASIBLE, the nearest feasible size, and exits with 4", async () => {
  using folder = temporaryFolder();
  const out = folder.path("out");
  const args = ["fit", model, "--text", text, "--device", "phone", "--memory", "1kB", "--out", out, "--seed", "7"];
  const outcome = await pare([...args, "--json"]);
  expect(outcome).toMatchObject({ exitCode: 4, stderr: "" });
  const certificate = documentOf("certificate", outcome);
  expect(certificate).toMatchObject({ verdict: "INFEASIBLE", winner: null, seed: 7, device: { memoryBytes: 1000 } });
  expect(certificate.nearestFeasibleBytes).toBeGreaterThan(1000);
  expect(JSON.parse(readFileSync(`${out}/certificate.json`, "utf8"))).toEqual(JSON.parse(outcome.stdout));
  expect(existsSync(`${out}/report.html`)).toBe(true);
  expect(existsSync(`${out}/model.gguf`)).toBe(false);
  expect(documentOf("verify", await pare(["verify", `${out}/certificate.json`, "--json"]))).toMatchObject({ ok: true });
});

test("fit leaves out a text that is given twice, so that no part knows another's, and says so", async () => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("copy.txt"), readFileSync(text));
  const fit = ["fit", model, "--device", "phone", "--memory", "1kB", "--out", folder.path("out"), "--json"];
  const once = documentOf("certificate", await pare([...fit, "--text", text]));
  const twice = documentOf("certificate", await pare([...fit, "--text", text, "--text", folder.path("copy.txt")]));
  expect(twice.hashes["task"]).toBe(once.hashes["task"]);
  expect(twice.task).toMatchObject({ calibration: once.task.calibration, confirmation: once.task.confirmation });
  expect(twice.notes).toContain(`"${folder.path("copy.txt")}" is in another text already, and was left out`);
});

test("fit takes the request from a file, with its paths beside it, and options before it", async () => {
  using folder = temporaryFolder();
  const request = { models: [model], text, device: "phone", memory: "2kB", out: "results", seed: 3 };
  writeFileSync(folder.path("pare.yaml"), JSON.stringify(request)); // JSON is YAML
  const outcome = await pare(["fit", "--config", folder.path("pare.yaml"), "--memory", "1kB", "--json"]);
  const certificate = documentOf("certificate", outcome);
  expect(certificate).toMatchObject({ verdict: "INFEASIBLE", seed: 3, device: { memoryBytes: 1000 } });
  expect(existsSync(folder.path("results/certificate.json"))).toBe(true);
});

test("fit without a model takes pare.yaml of the folder it runs in", async () => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("pare.yaml"), "text: t.txt\nkeeep: 98%\n");
  const { exitCode, stderr } = await pare(["fit"], { cwd: folder.path("") });
  expect(exitCode).toBe(1);
  expect(stderr).toContain('Cannot read request "pare.yaml": line 2: key "keeep" is unknown');
  expect(stderr).toContain("Did you mean keep?");
});

test.each([
  ["no size", ["--size", "4"], 2, '"4" is no size'],
  ["a device as the size", ["--size", "phone@512"], 2, "the size of a file is wanted"],
  ["a size below the smallest mix", ["--size", "0.1bpw"], 2, "the smallest mix of types takes"],
  ["a size above the model's", ["--size", "9MB"], 2, "the model itself has"],
  ["a text that is not there", ["--calibrate", "no-such-text.txt"], 1, "no-such-text.txt"],
  ["a model as the text", ["--calibrate", model], 1, "model.gguf"],
  ["the text that is judged by", ["--calibrate", text], 2, "holds what candidates are judged by"],
])("fit refuses, of mixes, %s", async (_what, options, exitCode, message) => {
  using folder = temporaryFolder();
  const outcome = await pare(["fit", model, "--text", text, "--device", "phone", ...options, "--json"], {
    cwd: folder.path(""),
  });
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(exitCode);
});

test("fit refuses a text that is too short to calibrate mixes on before anything is measured", async () => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("short.txt"), "hello");
  const args = ["fit", model, "--text", text, "--device", "phone", "--calibrate", "short.txt", "--json"];
  const outcome = await pare(args, { cwd: folder.path("") });
  expect(failureOf(outcome).message).toMatch(/Cannot calibrate: the text has 7 tokens/);
  expect(outcome.exitCode).toBe(1);
});

test("fit never measures for mixes that the device can't hold, and lists them as they were asked for", async () => {
  using folder = temporaryFolder();
  const fit = ["fit", model, "--text", text, "--device", "phone", "--memory", "1kB", "--out", folder.path("out")];
  const outcome = await pare([...fit, "--size", "5bpw", "--size", "6bpw", "--json"]);
  const { verdict, trials } = documentOf("certificate", outcome);
  expect(verdict).toBe("INFEASIBLE");
  const mixes = trials.filter(({ candidate }) => candidate.startsWith("mix@"));
  expect(mixes.map(({ candidate, fits, verdict }) => [candidate, fits, verdict])).toEqual([
    ["mix@5bpw", false, "does-not-fit"],
    ["mix@6bpw", false, "does-not-fit"],
  ]);
  expect(mixes[0]!.recipe).toMatchObject({
    quantize: { size: "5bpw", calibrate: { texts: [{ file: "mix-calibration.txt" }] } },
  });
});

test.each([
  ["no model", ["fit", "--text", text], 2, "No model"],
  ["neither task nor text", ["fit", model], 2, "No task and no text"],
  ["both task and text", ["fit", model, "--text", text, "--task", "t.jsonl"], 2, "cannot be used with"],
  ["an unknown device", ["fit", model, "--text", text, "--device", "fridge"], 2, "fridge"],
  ["a device file with a missing field", ["fit", model, "--text", text, "--device", "board.json"], 1, "memoryBytes"],
  ["an unknown goal", ["fit", model, "--text", text, "--minimize", "beauty"], 2, "Write one of size, latency, memory"],
  ["a text that is not there", ["fit", model, "--text", "no-such-text.txt"], 1, "no-such-text.txt"],
  ["a model that is not there", ["fit", "no-such-model.gguf", "--text", text], 1, "no-such-model.gguf"],
  ["an empty task", ["fit", model, "--task", "empty.jsonl"], 1, "empty.jsonl"],
  [
    "an unwritable folder for the results",
    ["fit", model, "--text", text, "--out", "board.json/out"],
    1,
    "Cannot write",
  ],
])("fit refuses %s", async (_what, args, exitCode, message) => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("board.json"), '{"name": "My board"}');
  writeFileSync(folder.path("empty.jsonl"), "");
  const outcome = await pare([...args, "--json"], { cwd: folder.path("") });
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(exitCode);
  const results = readdirSync(folder.path(""), { recursive: true, encoding: "utf8" });
  expect(results.filter((name) => /model\.gguf|recipe\.yaml|\.tmp$/.test(name))).toEqual([]);
});
