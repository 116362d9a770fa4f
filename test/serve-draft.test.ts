// A draft model changes the time of an answer, never a token of it: greedy, sampled, or held to a grammar.
import { afterAll, beforeAll, expect, test } from "vitest";

import { quantize } from "../src/passes/quantize/quantize.js";
import type { PareServer } from "../src/serve/serve.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED, post, startServer } from "./serve-fixture.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const folder = temporaryFolder();
const draft = folder.path("draft.gguf");
let plain: PareServer;
let drafted: PareServer;
beforeAll(async () => {
  await quantize({ input: BUNDLED, output: draft, type: "tq1_0" }); // right often, but not always
  await writeSyntheticModel(folder.path("stranger.gguf"));
  plain = await startServer();
  drafted = await startServer({ drafts: [draft], alwaysDrafts: true });
});
afterAll(async () => {
  await Promise.all([plain.close(), drafted.close()]);
  folder[Symbol.dispose]();
});

interface Answer {
  choices: { message: { content: string }; finish_reason: string; logprobs: object | null }[];
  usage: { completion_tokens: number; completion_tokens_details?: Record<string, number> };
}

async function ask(server: PareServer, content: string, more: object): Promise<Answer> {
  const body = { messages: [{ role: "user", content }], max_tokens: 60, ...more };
  return (await (await post(server, "/v1/chat/completions", body)).json()) as Answer;
}

const QUESTIONS = [
  "Turn off the attic lamp",
  "i want the back door locked thank you",
  "set the thermostat to 21 in the bedroom please",
];
const WAYS: [string, object][] = [
  ["greedy", { temperature: 0 }],
  ["sampled", { temperature: 1.2, seed: 7, top_k: 0, top_p: 1, min_p: 0 }],
  ["sampled with penalties", { temperature: 0.9, seed: 3, frequency_penalty: 0.5 }],
  ["held to a grammar", { temperature: 1, seed: 5, response_format: { type: "json_object" } }],
  ["told with probabilities", { temperature: 0, logprobs: true, top_logprobs: 2 }],
  ["stopped by a text", { temperature: 0, stop: '","' }],
  ["cut off", { temperature: 0, max_tokens: 5 }],
];

test.each(WAYS)("answers that are %s are the same with a draft", async (_, more) => {
  for (const question of QUESTIONS) {
    const [without, withDraft] = [await ask(plain, question, more), await ask(drafted, question, more)];
    expect(withDraft.choices).toEqual(without.choices);
    expect(withDraft.usage.completion_tokens).toBe(without.usage.completion_tokens);
  }
});

test("what the draft guessed is told in the usage, the log and the metrics", async () => {
  const { usage } = await ask(drafted, QUESTIONS[0]!, { temperature: 0 });
  const details = usage.completion_tokens_details;
  const metrics = await (await fetch(`${drafted.url}/metrics`)).text();
  const guessed = Number(/pare_tokens_total\{[^}]*kind="draft"\} (\d+)/.exec(metrics)![1]);
  const accepted = Number(/pare_tokens_total\{[^}]*kind="draft_accepted"\} (\d+)/.exec(metrics)![1]);
  expect(guessed).toBeGreaterThan(accepted);
  expect(accepted).toBeGreaterThan(10);
  expect(details!["accepted_prediction_tokens"]).toBeGreaterThan(0);
  expect(details!["accepted_prediction_tokens"]).toBeLessThanOrEqual(usage.completion_tokens);
});

test("a draft of another vocabulary, for no model, or of an exact server is refused", async () => {
  await expect(startServer({ drafts: [folder.path("stranger.gguf")] })).rejects.toThrow("can't draft for");
  await expect(startServer({ drafts: [`other=${draft}`] })).rejects.toThrow('no model "other"');
  await expect(startServer({ drafts: [draft], exact: true })).rejects.toThrow("flash attention");
});
