// `pare chat` as a shell and as a terminal run it.
import { spawn, spawnSync } from "node:child_process";

import { afterAll, beforeAll, expect, test } from "vitest";

import { MAIN, pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");

beforeAll(() => writeSyntheticModel(model, { contextLength: 4096, endless: true }));
afterAll(() => inputs[Symbol.dispose]());

test("chat --prompt --greedy gives the same answer as text and as JSON", async () => {
  const args = ["chat", model, "--prompt", "the rain", "--greedy", "--tokens", "12", "--threads", "1"];
  const words = await pare(args);
  expect(words).toMatchObject({ exitCode: 0, stderr: "" });
  const outcome = await pare([...args, "--json"]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("chat", outcome);
  expect(document).toMatchObject({
    prompt: "the rain",
    text: words.stdout.slice(0, -1),
    reason: "length",
    answerTokens: 12,
  });
});

test("chat samples the same answer for the same seed", async () => {
  const args = ["chat", model, "--prompt", "the rain", "--temperature", "2", "--tokens", "12", "--threads", "1"];
  const [first, same, other] = [
    await pare([...args, "--seed", "1"]),
    await pare([...args, "--seed", "1"]),
    await pare([...args, "--seed", "2"]),
  ];
  expect(first).toEqual(same);
  expect(first.stdout).not.toBe(other.stdout);
});

test("chat takes the ends of the ranges of --top-p, --min-p and --top-k as llama.cpp does", async () => {
  const args = ["chat", model, "--prompt", "the rain", "--tokens", "12", "--threads", "1"];
  const greedy = await pare([...args, "--greedy"]);
  for (const limit of ["--top-p=0", "--min-p=1"]) {
    expect(await pare([...args, "--top-k", "0", "--temperature", "2", limit])).toEqual(greedy);
  }
});

test.each([
  ["a share above 1", [model, "--prompt", "a", "--top-p", "1.5"], 2, "Write a number from 0 to 1"],
  ["a model that is not there", ["no-such-file.gguf", "--prompt", "a"], 1, "no-such-file.gguf"],
  ["an empty prompt on standard input", [model, "--prompt", "-"], 2, "prompt is empty"],
  [
    "a prompt longer than the context",
    [model, "--prompt", "the rain in spain ".repeat(40), "--context", "32"],
    1,
    "context",
  ],
])("chat refuses %s", async (_what, args, exitCode, message) => {
  const outcome = await pare(["chat", ...args, "--threads", "1", "--json"]);
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(exitCode);
});

/** The prompt as readline draws it: no answer can look like it, since `pare chat` strips escape sequences from answers. */
const PROMPT = "> \u001b[3G";

const hasScript = process.platform === "linux" && spawnSync("script", ["--version"]).status === 0;

test.skipIf(!hasScript)("chat on a terminal: Ctrl-C stops the answer, and at the prompt it leaves", async () => {
  // With exec, since a shell that stays above the command (dash) gets the first Ctrl-C as well, and ends of it later.
  const command = `exec "${process.execPath}" "${MAIN}" chat "${model}" --greedy --threads 1`;
  const terminal = spawn("script", ["-qec", command, "/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, TERM: "xterm" },
  });
  let seen = "";
  const waitFor = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        const at = seen.indexOf(text);
        if (at < 0) return void terminal.stdout.once("data", look);
        seen = seen.slice(at + text.length);
        resolve();
      };
      look();
    });
  terminal.stdout.setEncoding("utf8").on("data", (text: string) => (seen += text));
  const ended = new Promise((resolve) => void terminal.once("exit", resolve));
  await waitFor(PROMPT);
  terminal.stdin.write("the rain\r");
  await waitFor("word"); // the answer has begun: this model knows made-up words only
  terminal.stdin.write("\u0003");
  await waitFor(PROMPT);
  terminal.stdin.write("\u0003");
  expect(await ended).toBe(0);
});
