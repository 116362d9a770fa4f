// `pare eval` as a shell runs it, on text: what it prints, what it refuses.
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
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(20));
});
afterAll(() => inputs[Symbol.dispose]());

test("eval --text --against itself reports no divergence and full agreement", async () => {
  const args = [
    "eval",
    model,
    "--text",
    text,
    "--against",
    model,
    "--context",
    "64",
    "--windows",
    "3",
    "--threads",
    "1",
  ];
  const outcome = await pare([...args, "--json"]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("eval-text", outcome);
  expect(document.klDivergence?.mean).toBeCloseTo(0, 4);
  expect(document.sameTopRate).toBe(1);
  expect(document.windows).toHaveLength(3);
  expect(document.tokens).toBe(document.windows.reduce((sum, window) => sum + window.tokens, 0));
});

test("eval --save-baseline writes what --against takes", async () => {
  using folder = temporaryFolder();
  const baseline = folder.path("model.baseline");
  const shape = ["--context", "64", "--windows", "2", "--threads", "1", "--json"];
  const saved = await pare(["eval", model, "--text", text, "--save-baseline", baseline, ...shape]);
  expect(saved.exitCode).toBe(0);
  expect(readdirSync(folder.path(""))).toEqual(["model.baseline"]);
  const compared = documentOf(
    "eval-text",
    await pare(["eval", model, "--text", text, "--against", baseline, ...shape]),
  );
  expect(compared.baseline?.name).toBe("model.gguf");
  expect(compared.sameTopRate).toBe(1);
});

test("eval --task --against itself agrees with itself in every case that says not what is expected", async () => {
  using folder = temporaryFolder();
  const task = folder.path("task.jsonl");
  writeFileSync(
    task,
    ["the rain", "the plain"].map((prompt) => `{"prompt": "${prompt}", "maxTokens": 6, "tags": "weather"}\n`).join(""),
  );
  const outcome = await pare(["eval", model, "--task", task, "--against", model, "--threads", "1", "--json"]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("eval-task", outcome);
  expect(document).toMatchObject({
    score: { mean: 1, high: 1 },
    cases: 2,
    failures: [],
    tags: { weather: { cases: 2 } },
  });
  expect(document.score!.low).toBeLessThan(1);
});

test("eval prints a table without control characters where standard output is no terminal", async () => {
  const { exitCode, stdout, stderr } = await pare([
    "eval",
    model,
    "--text",
    text,
    "--context",
    "64",
    "--windows",
    "2",
    "--threads",
    "1",
  ]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toMatch(/^perplexity +\d/);
  // oxlint-disable-next-line no-control-regex
  expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
});

test.each([
  ["nothing to measure on", [], 2, "Nothing to measure on"],
  ["a text that is not there", ["--text", "no-such-text.txt"], 1, "no-such-text.txt"],
  ["a text shorter than a window", ["--text", "short.txt"], 1, "window"],
  [
    "a task's option with a text",
    ["--text", "short.txt", "--scorer", "exact"],
    2,
    "--scorer means nothing with --text",
  ],
  [
    "a text's option with a task",
    ["--task", "broken.jsonl", "--windows", "3"],
    2,
    "--windows means nothing with --task",
  ],
  ["a baseline that is none", ["--text", text, "--against", "short.txt"], 1, "short.txt"],
  ["a baseline that can't be written", ["--text", text, "--save-baseline", "short.txt/file"], 1, "Cannot write"],
  ["an empty task", ["--task", "empty.jsonl"], 1, "no cases"],
  ["a task line that is no JSON", ["--task", "broken.jsonl"], 1, "line 2"],
  ["an unknown scorer in a case", ["--task", "scorer.jsonl"], 1, "vibes"],
  ["an unknown scorer in an option", ["--task", "good.jsonl", "--scorer", "vibes"], 2, "vibes"],
  ["messages without a chat template", ["--task", "messages.jsonl"], 1, "chat template"],
])("eval refuses %s", async (_what, args, exitCode, message) => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("short.txt"), "Too short");
  writeFileSync(folder.path("empty.jsonl"), "\n");
  writeFileSync(folder.path("good.jsonl"), '{"prompt": "a", "expect": "b"}\n');
  writeFileSync(folder.path("broken.jsonl"), '{"prompt": "a", "expect": "b"}\n{"prompt": "a", \n');
  writeFileSync(folder.path("scorer.jsonl"), '{"prompt": "a", "expect": "b", "scorer": "vibes"}\n');
  writeFileSync(folder.path("messages.jsonl"), '{"messages": [{"role": "user", "content": "a"}], "expect": "b"}\n');
  const before = readdirSync(folder.path(""));
  const outcome = await pare(["eval", model, ...args, "--threads", "1", "--json"], { cwd: folder.path("") });
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(exitCode);
  expect(readdirSync(folder.path(""))).toEqual(before);
});
