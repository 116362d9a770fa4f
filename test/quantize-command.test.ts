// `pare quantize` as a shell runs it: what it prints, what it writes, what it refuses.
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { sha256 } from "../src/support/files.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");

beforeAll(() => writeSyntheticModel(model, { type: "f16" }));
afterAll(() => inputs[Symbol.dispose]());

test("quantize --json describes the file that it wrote", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const outcome = await pare(["quantize", model, output, "--type", "Q4_K_M", "--sha256", "--json"]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("quantize", outcome);
  expect(document.sizeBytes).toBe(statSync(output).size);
  expect(document.sha256).toBe(sha256(readFileSync(output)));
  expect(Object.values(document.types).reduce((a, b) => a + b, 0)).toBe(document.tensors.length);
  expect(readdirSync(folder.path(""))).toEqual(["out.gguf"]);
});

test("quantize --dry-run foresees the size to the byte and writes nothing", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const args = ["quantize", model, output, "--type", "q5_K_M", "--tensor-type", "ffn_down=q8_0", "--json"];
  const foreseen = documentOf("quantize", await pare([...args, "--dry-run"]));
  expect(readdirSync(folder.path(""))).toEqual([]);
  const written = documentOf("quantize", await pare(args));
  expect(foreseen.sizeBytes).toBe(written.sizeBytes);
  expect(foreseen.tensors).toEqual(written.tensors);
  expect(written.tensors.filter(({ name }) => name.includes("ffn_down")).map(({ type }) => type)).toEqual([
    "q8_0",
    "q8_0",
  ]);
});

test("quantize --dry-run needs no output", async () => {
  const { exitCode, stdout, stderr } = await pare(["quantize", model, "--type", "q8_0", "--dry-run"]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toContain("bits per weight");
});

test("quantize --recipe follows a recipe", async () => {
  using folder = temporaryFolder();
  const recipe = folder.path("recipe.yaml");
  writeFileSync(recipe, "version: 1\npasses:\n  - quantize: { type: q5_0, tokenEmbeddingType: q8_0 }\n");
  const followed = documentOf("quantize", await pare(["quantize", model, "--recipe", recipe, "--dry-run", "--json"]));
  const args = ["--type", "q5_0", "--token-embedding-type", "q8_0", "--dry-run", "--json"];
  const direct = documentOf("quantize", await pare(["quantize", model, ...args]));
  expect(followed.tensors).toEqual(direct.tensors);
});

test("quantize refuses a recipe of another model, and follows it with --allow-mismatch", async () => {
  using folder = temporaryFolder();
  const recipe = folder.path("recipe.yaml");
  writeFileSync(recipe, `version: 1\nsource: { sha256: "${"0".repeat(64)}" }\npasses:\n  - quantize: { type: q5_0 }\n`);
  const args = ["quantize", model, folder.path("out.gguf"), "--recipe", recipe, "--json"];
  const refused = await pare(args);
  expect(refused.exitCode).toBe(2);
  expect(failureOf(refused).message).toContain("was made for another model");
  expect((await pare([...args, "--allow-mismatch"])).exitCode).toBe(0);
});

test.each([
  ["no type", ["quantize", model, "out.gguf"], 2, "No type is given"],
  [
    "a mismatch without a recipe",
    ["quantize", model, "out.gguf", "--type", "q4_0", "--allow-mismatch"],
    2,
    "no recipe",
  ],
  ["a type beside a recipe", ["quantize", model, "out.gguf", "--recipe", "r.yaml", "--type", "q4_0"], 2, "recipe"],
  ["a recipe that is not there", ["quantize", model, "out.gguf", "--recipe", "r.yaml"], 1, "r.yaml"],
  ["no output", ["quantize", model, "--type", "q4_0"], 2, "No output path"],
  ["an unknown type", ["quantize", model, "out.gguf", "--type", "q4_9"], 2, "q4_9"],
  [
    "an override without a type",
    ["quantize", model, "out.gguf", "--type", "q4_0", "--tensor-type", "ffn_down"],
    2,
    "Write a pattern and a type",
  ],
  ["its own input as output", ["quantize", model, model, "--type", "q4_0"], 2, "same file"],
  [
    "an input that is not there",
    ["quantize", "no-such-file.gguf", "out.gguf", "--type", "q4_0"],
    1,
    "no-such-file.gguf",
  ],
])("quantize refuses %s", async (_what, args, exitCode, message) => {
  using folder = temporaryFolder();
  const outcome = await pare([...args, "--json"], { cwd: folder.path("") });
  expect(failureOf(outcome)).toMatchObject({ message: expect.stringContaining(message), hint: expect.any(String) });
  expect(outcome.exitCode).toBe(exitCode);
  expect(readdirSync(folder.path(""))).toEqual([]);
});

test("quantize refuses an output path that can't be written, and leaves nothing", async () => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("file"), "in the way");
  const outcome = await pare(["quantize", model, folder.path("file/out.gguf"), "--type", "q4_0", "--json"]);
  expect(outcome.exitCode).toBe(1);
  expect(failureOf(outcome).message).toMatch(/Cannot write ".*out\.gguf": a part of its path is a file/);
  expect(readdirSync(folder.path(""))).toEqual(["file"]);
});

test("quantize refuses a damaged model and leaves nothing", async () => {
  using folder = temporaryFolder();
  const damaged = folder.path("damaged.gguf");
  writeFileSync(damaged, readFileSync(model).subarray(0, 100_000));
  const outcome = await pare(["quantize", damaged, folder.path("out.gguf"), "--type", "q4_0", "--json"]);
  expect(outcome.exitCode).toBe(1);
  expect(failureOf(outcome).message).toContain("damaged.gguf");
  expect(existsSync(folder.path("out.gguf"))).toBe(false);
});
