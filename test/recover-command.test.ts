// `pare quantize --recover` as a shell runs it.
import { readFileSync, statSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { readGguf } from "../src/formats/gguf/read.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");
const SMALL = ["--context", "64", "--threads", "1", "--effort", "fast"];

beforeAll(async () => {
  await writeSyntheticModel(model, { type: "f16", vocabulary: 512, width: 64, feedForward: 128 });
  const words = Array.from({ length: 600 }, (_, i) => `word${(i * i * 7 + i) % 190}`);
  writeFileSync(text, words.join(" "));
});
afterAll(() => inputs[Symbol.dispose]());

test("quantize --recover writes a file of the same types and size that is nearer to the original, and its recipe makes it again", async () => {
  using folder = temporaryFolder();
  const [plain, trained, again, recipe] = ["plain.gguf", "trained.gguf", "again.gguf", "recipe.yaml"].map(
    folder.path,
  ) as [string, string, string, string];
  const args = ["--type", "q4_0", "--pure", "--calibrate", text, ...SMALL, "--json"];
  const before = documentOf("quantize", await pare(["quantize", model, plain, ...args]));
  const outcome = await pare(["quantize", model, trained, ...args, "--recover", "--save-recipe", recipe]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("quantize", outcome);
  const { recovery, divergence } = document.calibration!;
  expect(recovery!.before).toBe(before.calibration!.divergence!.mean);
  expect(recovery!.after).toBe(divergence!.mean);
  expect(divergence!.mean).toBeLessThan(0.9 * recovery!.before);
  expect(document.types).toEqual(before.types);
  expect(statSync(trained).size).toBe(statSync(plain).size);
  await using file = await readGguf(trained);
  expect(file.tensors.map(({ type }) => type)).toEqual(before.tensors.map(({ type }) => type));
  expect((await pare(["quantize", model, again, "--recipe", recipe, "--threads", "1", "--json"])).exitCode).toBe(0);
  expect(readFileSync(again).equals(readFileSync(trained))).toBe(true);
});

test.each([["without a text", ["--type", "q4_0", "--recover"], /--recover matters only beside --calibrate/]])(
  "quantize refuses --recover %s",
  async (_what, args, message) => {
    const outcome = await pare(["quantize", model, inputs.path("none.gguf"), ...args, "--json"]);
    expect(outcome.exitCode).toBe(2);
    expect(failureOf(outcome).message).toMatch(message);
  },
);

test("quantize --recover refuses a family that has no training graph, before anything is measured", async () => {
  const experts = inputs.path("experts.gguf");
  await writeSyntheticModel(experts, { experts: 4, vocabulary: 512 });
  const args = ["--type", "q4_0", "--calibrate", text, "--recover", ...SMALL, "--json"];
  const outcome = await pare(["quantize", experts, inputs.path("none.gguf"), ...args]);
  expect(outcome.exitCode).toBe(1);
  expect(failureOf(outcome).message).toMatch(/Cannot train .*experts.gguf/);
});
