// `pare distill` as a shell runs it.
import { existsSync, readdirSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { LOSSES } from "../src/cli/command-distill.js";
import { DIVERGENCES } from "../src/passes/distill/teacher-objective.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const teacher = inputs.path("teacher.gguf");
const text = inputs.path("text.txt");
beforeAll(async () => {
  await writeSyntheticModel(teacher, { width: 32, feedForward: 48, layers: 3, vocabulary: 420 });
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(60));
});
afterAll(() => inputs[Symbol.dispose]());

const SMALL = ["--context", "16", "--batch", "4", "--threads", "1"];

test("the command offers the losses that the library has", () => {
  expect(LOSSES).toEqual(DIVERGENCES);
});

test("distill --json cuts a student, describes the run, and quantize takes the file", async () => {
  using folder = temporaryFolder();
  const output = folder.path("student.gguf");
  const args = [...SMALL, "--layers", "2", "--sample", "1600", "--steps", "4", "--bar", "1", "--guard", text, "--json"];
  const outcome = await pare(["distill", teacher, "-o", output, ...args]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("distill", outcome);
  expect(document).toMatchObject({ output, steps: 4, stopped: "finished", resumedFrom: 0 });
  expect(document.settings).toMatchObject({ divergence: "forward-kl", temperature: 1, labels: 0, top: 32, batch: 4 });
  const quantized = await pare(["quantize", output, folder.path("q.gguf"), "--type", "q8_0", "--json"]);
  expect(quantized.exitCode).toBe(0);
});

test("a recipe that distill writes makes the same file again, and stands alone", async () => {
  using folder = temporaryFolder();
  const recipe = folder.path("recipe.yaml");
  const how = [
    ...SMALL,
    "--layers",
    "2",
    "--steps",
    "2",
    "--recompute",
    "--type",
    "f32",
    "--save-recipe",
    recipe,
    "--json",
  ];
  const made = documentOf("distill", await pare(["distill", teacher, text, "-o", folder.path("a.gguf"), ...how]));
  const follow = ["distill", teacher, "-o", folder.path("b.gguf"), "--recipe", recipe, "--threads", "1", "--json"];
  const again = documentOf("distill", await pare(follow));
  expect(again.sha256).toBe(made.sha256);
  const more = await pare([...follow, "--steps", "3"]);
  expect(failureOf(more).message).toContain("A recipe says all that is to be done");
  const other = await pare(["distill", folder.path("a.gguf"), ...follow.slice(2)]);
  expect(failureOf(other).message).toContain("was made for another model");
});

test("distill for people says what came of it, and a new student needs no more than its shape", async () => {
  using folder = temporaryFolder();
  const shape = ["--new", "--layers", "1", "--width", "16", "--heads", "2", "--loss", "reverse-kl", "--labels", "20%"];
  const output = folder.path("student.gguf");
  const outcome = await pare(["distill", teacher, text, "-o", output, ...SMALL, ...shape, "--steps", "3"]);
  expect(outcome.exitCode).toBe(0);
  expect(outcome.stdout).toMatch(/wrote +.*student\.gguf/);
  expect(outcome.stdout).toMatch(/teacher's text +[\d,]+ tokens, .* of probability outside its lists/);
  expect(outcome.stdout).toMatch(/validation +\d+\.\d{4} nats per token at step \d+, \d+\.\d{4} before/);
  expect(outcome.stdout).toMatch(/of the teacher +\d+\.\d{4} nats per token; -?[\d.]+ % of the gap closed/);
});

test("distill ended by Ctrl-C exits with 130 and leaves no half-written file", async () => {
  using folder = temporaryFolder();
  const output = folder.path("student.gguf");
  const args = ["--student", teacher, "--steps", "4000", "--save-every", "1", "--json", "--verbose"];
  const outcome = await pare(["distill", teacher, text, "-o", output, ...SMALL, ...args], {
    onStart: (child) => void child.stderr?.on("data", (data) => /training/.test(String(data)) && child.kill("SIGINT")),
  });
  expect(outcome.exitCode).toBe(130);
  expect(failureOf(outcome).message).toBe("Interrupted");
  expect(existsSync(output)).toBe(false);
  expect(readdirSync(folder.path("student.gguf.run")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test.each([
  ["no output", ["distill", teacher, text, "--layers", "1"], 2, "-o, --output"],
  ["no text", ["distill", teacher, "--layers", "1", "-o", "out.gguf"], 2, "No text to learn on is given"],
  ["no student", ["distill", teacher, text, "-o", "out.gguf"], 2, "No student is given"],
  [
    "a new student without a width",
    ["distill", teacher, text, "--new", "--layers", "1", "-o", "out.gguf"],
    2,
    "needs its width",
  ],
  ["a teacher that is not there", ["distill", "no.gguf", text, "--layers", "1", "-o", "out.gguf"], 1, "no.gguf"],
  ["an unknown loss", ["distill", teacher, text, "--layers", "1", "--loss", "l2", "-o", "out.gguf"], 2, "forward-kl"],
])("distill refuses %s", async (_what, args, exitCode, message) => {
  using folder = temporaryFolder();
  const outcome = await pare([...args, "--json"], { cwd: folder.path("") });
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(exitCode);
  expect(readdirSync(folder.path(""))).toEqual([]);
});
