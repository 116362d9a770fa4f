// `pare train` as a shell runs it.
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { TRAIN_CHOICES } from "../src/cli/command-train.js";
import { PRODUCT_TYPES } from "../src/graph/graph.js";
import { TRAINABLE_ARCHITECTURES } from "../src/graph/llama.js";
import { OPTIMIZERS } from "../src/train/optimizer.js";
import { SCHEDULES } from "../src/train/schedule.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");
beforeAll(async () => {
  await writeSyntheticModel(model, { width: 32, feedForward: 48, layers: 2, vocabulary: 420 });
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(60));
});
afterAll(() => inputs[Symbol.dispose]());

const SMALL = ["--context", "16", "--batch", "4", "--threads", "1"];
const SHAPE = ["--layers", "2", "--width", "32", "--heads", "4"];

test("the command offers what the library has", () => {
  const sorted = (words: readonly string[]): string[] => words.toSorted();
  expect(sorted(TRAIN_CHOICES.architecture)).toEqual(sorted(TRAINABLE_ARCHITECTURES));
  expect(sorted(TRAIN_CHOICES.optimizer)).toEqual(sorted(OPTIMIZERS));
  expect(sorted(TRAIN_CHOICES.schedule)).toEqual(sorted(SCHEDULES));
  expect(sorted(TRAIN_CHOICES.products)).toEqual(sorted(PRODUCT_TYPES));
});

test("train --json makes a new model and describes the run, and quantize and chat take the file", async () => {
  using folder = temporaryFolder();
  const output = folder.path("new.gguf");
  const args = [...SMALL, ...SHAPE, "--steps", "6", "--rate", "0.01", "--products", "bf16", "--recompute", "--json"];
  const outcome = await pare(["train", text, "--vocabulary", model, "-o", output, ...args]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("train", outcome);
  expect(document).toMatchObject({ output, steps: 6, architecture: "llama", stopped: "finished", resumedFrom: 0 });
  expect(document.settings).toMatchObject({ contextLength: 16, batch: 4, products: "bf16", recompute: true, seed: 0 });
  expect(
    readFileSync(document.metrics as string, "utf8")
      .trim()
      .split("\n").length,
  ).toBeGreaterThan(6);
  const quantized = await pare(["quantize", output, folder.path("q.gguf"), "--type", "q8_0", "--json"]);
  expect(quantized.exitCode).toBe(0);
  const answer = await pare(["chat", folder.path("q.gguf"), "--prompt", "the", "--greedy", "--tokens", "2", "--json"]);
  expect(answer.exitCode).toBe(0);
});

test("a recipe that train writes makes the same model again, in train and in adapt", async () => {
  using folder = temporaryFolder();
  const recipe = folder.path("recipe.yaml");
  const output = (name: string): string[] => ["--model", model, "-o", folder.path(name), "--json", "--threads", "1"];
  const made = await pare(["train", text, ...output("a.gguf"), ...SMALL, "--steps", "2", "--save-recipe", recipe]);
  const { sha256 } = documentOf("train", made);
  const again = await pare(["train", ...output("b.gguf"), "--recipe", recipe]);
  expect(documentOf("train", again).sha256).toBe(sha256);
  const adapted = await pare(["adapt", ...output("c.gguf"), "--recipe", recipe]);
  expect(documentOf("adapt", adapted)).toMatchObject({ sha256 });
});

test.each([
  ["a new model's recipe", ["--save-recipe", "r.yaml", ...SHAPE], /a new one is made of none/],
  ["a recipe without a model", ["--recipe", "r.yaml"], /needs a model to go on from/],
])("train refuses %s", async (_what, args, message) => {
  const texts = args.includes("--recipe") ? [] : [text, "--vocabulary", model];
  const outcome = await pare(["train", ...texts, "-o", inputs.path("none.gguf"), ...args, "--json"]);
  expect(outcome.exitCode).toBe(2);
  expect(failureOf(outcome).message).toMatch(message);
});

test("train for people says what was written and how the loss went", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const outcome = await pare(["train", text, "--model", model, "-o", output, ...SMALL, "--steps", "3"]);
  expect(outcome.exitCode).toBe(0);
  expect(outcome.stdout).toMatch(/wrote +.*out\.gguf/);
  expect(outcome.stdout).toMatch(/loss +\d\.\d{4} at first, \d\.\d{4} at last/);
});

test("train ended by Ctrl-C exits with 130, keeps a whole checkpoint, and goes on from it", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const args = ["train", text, "--model", model, "-o", output, ...SMALL, "--steps", "4000", "--save-every", "1"];
  const first = await pare([...args, "--json", "--verbose"], {
    // It names the stage after the first step, when the first checkpoint is there.
    onStart: (child) => void child.stderr?.once("data", () => child.kill("SIGINT")),
  });
  expect(first.exitCode).toBe(130);
  expect(failureOf(first).message).toBe("Interrupted");
  expect(existsSync(output)).toBe(false);
  expect(existsSync(folder.path("out.gguf.run/checkpoint.gguf"))).toBe(true);
  expect(readdirSync(folder.path("out.gguf.run")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  const other = await pare([...args, "--rate", "0.5", "--json"]);
  expect(failureOf(other).message).toContain("it is of a run with other settings");
});

test.each([
  ["no output", ["train", text, "--model", model], 2, "-o, --output"],
  ["neither model nor vocabulary", ["train", text, "-o", "out.gguf"], 2, "either a model to go on from"],
  ["both", ["train", text, "-o", "out.gguf", "--model", model, "--vocabulary", model, ...SHAPE], 2, "either a model"],
  [
    "a shape without a width",
    ["train", text, "-o", "out.gguf", "--vocabulary", model, "--layers", "2"],
    2,
    "needs its width",
  ],
  [
    "heads that don't divide",
    ["train", text, "-o", "out.gguf", "--vocabulary", model, ...SHAPE, "--heads", "5"],
    2,
    "5 heads",
  ],
  [
    "a text that is too short",
    ["train", "short.txt", "-o", "out.gguf", "--model", model],
    1,
    "shorter than one sequence",
  ],
  ["an empty text", ["train", "empty.txt", "-o", "out.gguf", "--model", model], 2, "empty"],
  ["a text that is not there", ["train", "no.txt", "-o", "out.gguf", "--model", model], 1, "no such file"],
  ["a model that is not there", ["train", text, "-o", "out.gguf", "--model", "no.gguf"], 1, "no.gguf"],
  ["an unknown optimizer", ["train", text, "-o", "out.gguf", "--model", model, "--optimizer", "sgd"], 2, "adamw"],
])("train refuses %s", async (_what, args, exitCode, message) => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("short.txt"), "Too short");
  writeFileSync(folder.path("empty.txt"), "");
  const outcome = await pare([...args, "--json"], { cwd: folder.path("") });
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(exitCode);
  expect(readdirSync(folder.path("")).toSorted()).toEqual(["empty.txt", "short.txt"]);
});
