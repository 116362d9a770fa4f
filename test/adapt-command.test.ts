// `pare adapt` as a shell runs it, and adapters in `pare eval` and `pare chat`.
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");
const adapter = inputs.path("adapter.gguf");
const merged = inputs.path("merged.gguf");
beforeAll(async () => {
  await writeSyntheticModel(model, { width: 32, feedForward: 48, layers: 2, vocabulary: 420 });
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(60));
});
afterAll(() => inputs[Symbol.dispose]());

test("adapt --json learns and merges an adapter, which eval takes beside the model with the merged model's perplexity", async () => {
  const small = ["--context", "16", "--batch", "4", "--threads", "1", "--steps", "6", "--rate", "0.02", "--rank", "2"];
  const args = [...small, "--last-layers", "1", "--type", "f32", "--json"];
  const outcome = await pare(["adapt", text, "--model", model, "-o", adapter, "--merge", merged, ...args]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("adapt", outcome);
  expect(document).toMatchObject({
    method: "lora",
    adapter: { rank: 2, alpha: 4, firstLayer: 1, matrices: 7 },
    merged: { output: merged },
  });
  const measured = async (...of: string[]): Promise<number> => {
    const result = await pare(["eval", ...of, "--text", text, "--context", "16", "--threads", "1", "--json"]);
    return (documentOf("eval-text", result).perplexity as { mean: number }).mean;
  };
  const beside = await measured(model, "--adapter", adapter);
  expect(beside).toBeLessThan(0.9 * (await measured(model)));
  expect(Math.abs((await measured(merged)) / beside - 1)).toBeLessThan(1e-4);
});

test("adapt merges an adapter that is there, and chat answers with one", async () => {
  using folder = temporaryFolder();
  const output = folder.path("again.gguf");
  const outcome = await pare(["adapt", "--model", model, "--adapter", adapter, "--merge", output, "--json"]);
  expect(outcome.exitCode).toBe(0);
  expect(documentOf("adapt", outcome)).toMatchObject({ merged: { output } });
  const chat = ["chat", model, "--adapter", adapter, "--prompt", "the", "--greedy", "--tokens", "2"];
  expect((await pare([...chat, "--json"])).exitCode).toBe(0);
});

test("a recipe that adapt writes makes the same adapter and merged model again, of the same model and text alone", async () => {
  using folder = temporaryFolder();
  const [recipe, texts] = [folder.path("recipe.yaml"), folder.path("text.txt")];
  copyFileSync(text, texts);
  const how = ["--context", "16", "--batch", "4", "--threads", "1", "--steps", "3", "--rank", "2", "--type", "f32"];
  const files = (name: string): string[] => [
    "-o",
    folder.path(`${name}.gguf`),
    "--merge",
    folder.path(`${name}-m.gguf`),
  ];
  const save = [...how, "--target", "attn_q", "--recompute", "--save-recipe", recipe, "--json"];
  const made = await pare(["adapt", texts, "--model", model, ...files("a"), ...save]);
  expect(made).toMatchObject({ exitCode: 0, stderr: "" });
  const follow = ["--recipe", recipe, "--threads", "1", "--json"];
  const again = await pare(["adapt", "--model", model, ...files("b"), ...follow]);
  expect(again.exitCode).toBe(0);
  for (const suffix of [".gguf", "-m.gguf"])
    expect(readFileSync(folder.path(`b${suffix}`))).toEqual(readFileSync(folder.path(`a${suffix}`)));
  const refused = async (...args: string[]) =>
    failureOf(await pare(["adapt", "-o", folder.path("c.gguf"), ...args, ...follow])).message;
  expect(await refused("--model", model, "--rank", "3")).toContain("A recipe says all that is to be done");
  expect(await refused("--model", merged)).toContain("was made for another model");
  appendFileSync(texts, "and more");
  expect(await refused("--model", model)).toMatch(/was made with another ".*text\.txt"/);
});

test("adapt refuses a recipe in the place of a file that it reads or writes", async () => {
  const args = ["adapt", text, "--model", model, "-o", inputs.path("c.gguf"), "--json", "--save-recipe"];
  expect(failureOf(await pare([...args, text])).message).toContain("Input and output are the same file");
  expect(failureOf(await pare([...args, inputs.path("c.gguf")])).message).toContain("Recipe and model can't both be");
});

test.each([
  ["nothing to learn from", ["--model", model], /There is nothing to learn from/],
  ["no output", [text, "--model", model], /No output is given/],
  ["texts beside an adapter", [text, "--model", model, "--adapter", "a.gguf", "-o", "b.gguf"], /is merged/],
  [
    "a rank beside a merge",
    ["--model", model, "--adapter", "a", "--merge", "b", "--rank", "2"],
    /"rank" means nothing/,
  ],
])("adapt refuses %s", async (_what, args, message) => {
  const outcome = await pare(["adapt", ...args, "--json"]);
  expect(outcome.exitCode).toBe(2);
  expect(failureOf(outcome).message).toMatch(message);
});

test("eval keeps no baseline of a model with an adapter", async () => {
  using folder = temporaryFolder();
  const args = ["--text", text, "--adapter", adapter, "--save-baseline", folder.path("b")];
  const outcome = await pare(["eval", model, ...args, "--json"]);
  expect(outcome.exitCode).toBe(2);
});
