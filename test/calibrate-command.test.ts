// `pare calibrate` as a shell runs it.
import { readdirSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");

beforeAll(async () => {
  await writeSyntheticModel(model);
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(60));
});
afterAll(() => inputs[Symbol.dispose]());

test("calibrate --json describes what it measured, and quantize takes the file", async () => {
  using folder = temporaryFolder();
  const output = folder.path("imatrix.gguf");
  const args = ["--context", "64", "--chunks", "3", "--similarity", "--threads", "1", "--json"];
  const outcome = await pare(["calibrate", model, text, "-o", output, ...args]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("calibrate", outcome);
  expect(document).toMatchObject({ output, contextLength: 64, windows: 3, tokens: 192 });
  expect(document.similarity).toHaveLength(2);
  const quantized = await pare([
    "quantize",
    model,
    folder.path("q.gguf"),
    "--type",
    "iq2_xs",
    "--imatrix",
    output,
    "--json",
  ]);
  expect(quantized.exitCode).toBe(0);
});

test.each([
  ["no text", ["calibrate", model, "-o", "out.gguf"], 2, "Missing required argument 'text'"],
  ["no output", ["calibrate", model, text], 2, "-o, --output"],
  ["a text that is not there", ["calibrate", model, "no-such-text.txt", "-o", "out.gguf"], 1, "no-such-text.txt"],
  ["a text shorter than a chunk", ["calibrate", model, "short.txt", "-o", "out.gguf"], 1, "one window takes"],
  ["an empty text", ["calibrate", model, "empty.txt", "-o", "out.gguf"], 2, "empty"],
  ["an output path that can't be written", ["calibrate", model, text, "-o", "empty.txt/out.gguf"], 1, "Cannot write"],
])("calibrate refuses %s", async (_what, args, exitCode, message) => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("short.txt"), "Too short");
  writeFileSync(folder.path("empty.txt"), "");
  const outcome = await pare([...args, "--json"], { cwd: folder.path("") });
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(exitCode);
  expect(readdirSync(folder.path("")).toSorted()).toEqual(["empty.txt", "short.txt"]);
});
