// An answer is the same whatever runs beside it, and the same as `pare chat --greedy` gives.
import { afterAll, beforeAll, expect, test } from "vitest";

import { complete } from "../src/evaluate/chat.js";
import type { PareServer } from "../src/serve/serve.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED, post, startServer } from "./serve-fixture.js";
import { sharedModel } from "./shared.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const TOKENS = 24;
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

/** Prompts of many lengths, of which some begin alike over whole pages. */
const BEGINNING = "The rain in the town is long and the tale of it is longer. ".repeat(4);
const PROMPTS = Array.from(
  { length: 10 },
  (_, i) => (i % 3 === 0 ? BEGINNING : "") + "a ton of tea. ".repeat(2 * i) + "So",
);

// f32 weights have kernels that round differently for one row than for several; a model without sense has many near ties.
beforeAll(() => writeSyntheticModel(folder.path("synthetic.gguf"), { contextLength: 1024, endless: true }));

async function answers(server: PareServer, prompts: readonly string[], atOnce: number): Promise<string[]> {
  const texts: string[] = [];
  const waiting = prompts.entries();
  const client = async (): Promise<void> => {
    for (const [i, prompt] of waiting) {
      const response = await post(server, "/v1/completions", { prompt, temperature: 0, max_tokens: TOKENS - (i % 7) });
      texts[i] = ((await response.json()) as { choices: { text: string }[] }).choices[0]!.text;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  return texts;
}

async function alone(model: string, prompts: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const answer = complete({ model, prompt, raw: true, greedy: true, maxTokens: TOKENS - (i % 7), threads: 1 });
    texts.push((await answer.result).text);
  }
  return texts;
}

const models: [name: string, path: string | undefined][] = [
  ["a synthetic model in f32", folder.path("synthetic.gguf")],
  ["stories15M in f16", sharedModel("stories15M-f16.gguf")],
];

test.skipIf(!models[1]![1]).each([models[1]!])(
  "greedy answers of %s are those of pare chat, however many run at once",
  sameAsChat,
);
test.each([models[0]!])("greedy answers of %s are those of pare chat, however many run at once", sameAsChat);

async function sameAsChat(_name: string, path: string | undefined): Promise<void> {
  const prompts = path === models[0]![1] ? PROMPTS : PROMPTS.map((prompt) => prompt.slice(-300));
  const wanted = await alone(path!, prompts.slice(0, 3));
  await using server = await startServer({ models: path! });
  const together = await answers(server, prompts, 10);
  expect(together.slice(0, 3)).toEqual(wanted);
  expect(await answers(server, prompts, 3)).toEqual(together); // now with beginnings in the cache
}

test("the bundled model's greedy chat answers are those of pare chat", async () => {
  const questions = [
    "Speaker to full in the lounge",
    "i want the back door locked thank you",
    "Turn off the attic lamp",
  ];
  await using server = await startServer();
  const asked = questions.map(async (content) => {
    const response = await post(server, "/v1/chat/completions", {
      messages: [{ role: "user", content }],
      temperature: 0,
    });
    return ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
  });
  for (const [i, prompt] of questions.entries()) {
    const { text } = await complete({ model: BUNDLED, prompt, greedy: true, threads: 1 }).result;
    expect(await asked[i]).toBe(text);
  }
});
