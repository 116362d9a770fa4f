// `pare inspect` as a shell runs it, on sound files and on others.
import { statSync, writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { sharedModel } from "./shared.js";
import { writeSyntheticModel } from "./synthetic-model.js";

test("inspect --json prints the documented fields and nothing else on standard output", async () => {
  using folder = temporaryFolder();
  const path = folder.path("model.gguf");
  await writeSyntheticModel(path);
  const outcome = await pare(["inspect", path, "--json"]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("inspect", outcome);
  expect(document.sizeBytes).toBe(statSync(path).size);
  const tensorBytes = document.tensors.reduce((sum, tensor) => sum + tensor.sizeBytes, 0);
  expect(document.bitsPerWeight).toBeCloseTo((8 * tensorBytes) / document.parametersTotal, 6);
});

test("inspect prints a table without control characters where standard output is no terminal", async () => {
  using folder = temporaryFolder();
  const path = folder.path("model.gguf");
  await writeSyntheticModel(path);
  const { exitCode, stdout, stderr } = await pare(["inspect", path, "--tensors", "--metadata"]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toContain("token_embd.weight");
  expect(stdout).toContain("general.architecture");
  // oxlint-disable-next-line no-control-regex
  expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
});

test.skipIf(!sharedModel("stories15M-f16.gguf"))("inspect knows stories15M", async () => {
  const document = documentOf("inspect", await pare(["inspect", sharedModel("stories15M-f16.gguf")!, "--json"]));
  expect(document).toMatchObject({
    architecture: "llama",
    parametersTotal: 15_191_712,
    parametersActive: 15_191_712,
    contextLength: 256,
    kvCacheBytesPerToken: 6 * 2 * 288 * 2, // layers × keys and values × width × bytes of f16
    types: { f16: 43, f32: 13 },
  });
});

test.each([
  ["an empty file", ""],
  ["text", "This is no model at all.\n".repeat(10)],
  ["a magic number and no more", "GGUF"],
])("inspect refuses %s and names it", async (_what, content) => {
  using folder = temporaryFolder();
  const path = folder.path("garbage.gguf");
  writeFileSync(path, content);
  const outcome = await pare(["inspect", path, "--json"]);
  expect(outcome.exitCode).toBe(1);
  expect(failureOf(outcome).message).toContain("garbage.gguf");
});

test("inspect refuses a folder and names it", async () => {
  using folder = temporaryFolder();
  const outcome = await pare(["inspect", folder.path(""), "--json"]);
  expect(outcome.exitCode).toBe(1);
  expect(failureOf(outcome).message).toContain("not a file");
});
