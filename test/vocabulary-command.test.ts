// `pare vocabulary` as a shell runs it.
import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { readGguf } from "../src/formats/gguf/read.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";

const inputs = temporaryFolder();
const text = inputs.path("text.txt");
const mails = inputs.path("mails.jsonl");
const template = inputs.path("chat.jinja");
const broken = inputs.path("broken.jinja");
beforeAll(() => {
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(60));
  writeFileSync(mails, `${JSON.stringify({ prompt: "buy now, buy now", completion: "spam" })}\n`.repeat(9));
  writeFileSync(template, "{% for m in messages %}<|mail|>{{ m.content }}{% endfor %}<|label|>\n");
  writeFileSync(broken, "{% for m in messages %}");
  writeFileSync(inputs.path("empty.txt"), "");
});
afterAll(() => inputs[Symbol.dispose]());

test("vocabulary --json learns a vocabulary that train takes, with control tokens and template", async () => {
  using folder = temporaryFolder();
  const output = folder.path("vocabulary.gguf");
  const args = ["--special", "<|mail|>", "--special", "<|label|>", "--chat-template", template];
  const outcome = await pare(["vocabulary", text, mails, "--size", "280", ...args, "-o", output, "--json"]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const document = documentOf("vocabulary", outcome);
  expect(document).toMatchObject({ output, tokens: 280, merges: 21 });
  expect(document.control).toEqual([
    { id: 277, text: "<|end|>" },
    { id: 278, text: "<|mail|>" },
    { id: 279, text: "<|label|>" },
  ]);
  await using file = await readGguf(output);
  expect(file.metadata.string("tokenizer.chat_template")).toMatch(/<\|label\|>$/);
  const shape = ["--layers", "1", "--width", "32", "--heads", "4", "--context", "16", "--batch", "2", "--steps", "1"];
  const model = folder.path("model.gguf");
  expect((await pare(["train", text, "--vocabulary", output, ...shape, "-o", model])).exitCode).toBe(0);
  const answer = await pare(["chat", model, "--prompt", "the rain", "--greedy", "--tokens", "2", "--json"]);
  expect(answer.exitCode).toBe(0);
});

test("vocabulary gives the same file each time, and says where the text has no more", async () => {
  using folder = temporaryFolder();
  const paths = [folder.path("a.gguf"), folder.path("b.gguf")];
  for (const path of paths) {
    const outcome = await pare(["vocabulary", text, "--size", "4096", "-o", path]);
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stderr).toMatch(/the text has no more than \d+ tokens/);
    expect(outcome.stdout).toMatch(/bytes per token/);
  }
  expect(readFileSync(paths[0]!)).toEqual(readFileSync(paths[1]!));
});

test.each([
  ["no size", [text], 2, "--size"],
  ["a size below the bytes", [text, "--size", "257", "--special", "<a>"], 2, "258 to 1048576 are wanted"],
  ["a control token twice", [text, "--size", "300", "--special", "<|end|>"], 2, '"<|end|>" is named twice'],
  ["a control token that is a byte", [text, "--size", "300", "--end", "a"], 2, "name of a byte"],
  ["an empty control token", [text, "--size", "300", "--end", ""], 2, "needs a text"],
  ["an empty text", ["empty.txt", "--size", "300"], 2, "empty"],
  ["a text that is not there", ["no.txt", "--size", "300"], 1, "no such file"],
  ["a template that does not parse", [text, "--size", "300", "--chat-template", broken], 1, "chat template"],
  ["its own text as output", [text, "--size", "300", "-o", text], 2, "text.txt"],
])("vocabulary refuses %s", async (_what, args, exitCode, message) => {
  const output = args.includes("-o") ? [] : ["-o", "out.gguf"];
  const outcome = await pare(["vocabulary", ...args, ...output, "--json"], { cwd: inputs.path("") });
  expect(outcome.exitCode).toBe(exitCode);
  expect(failureOf(outcome).message).toContain(message);
  expect(existsSync(inputs.path("out.gguf"))).toBe(false);
});
