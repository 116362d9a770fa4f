// Turns by hand: a text that is scored goes in pieces, as other prompts do.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { Lanes } from "../../evaluate/lanes.js";
import { loadEngine } from "../../native/engine.js";
import { LlamaModel } from "../../native/llama-model.js";
import { TokenCandidates } from "../../native/token-candidates.js";
import { Batcher } from "./batcher.js";
import { scoreToken } from "./log-probabilities.js";
import type { EngineEvent, GenerateJob } from "./messages.js";
import { RunningAnswer } from "./running.js";

const CONTEXT_LENGTH = 1024;
const folder = temporaryFolder();
let model: LlamaModel;
let lanes: Lanes;
let batcher: Batcher;
let events: EngineEvent[];
beforeAll(async () => {
  await writeSyntheticModel(folder.path("synthetic.gguf"), { contextLength: CONTEXT_LENGTH, endless: true });
  model = LlamaModel.load(loadEngine(), folder.path("synthetic.gguf"));
  lanes = new Lanes(model, { laneTokens: CONTEXT_LENGTH, count: 2, threads: 1, flash: true });
});
afterAll(() => {
  lanes[Symbol.dispose]();
  model[Symbol.dispose]();
  folder[Symbol.dispose]();
});
beforeEach(() => {
  events = [];
  batcher = new Batcher(lanes, (told) => void events.push(...told));
});

const PROMPT = Array.from({ length: 900 }, (_, i) => 3 + ((i * i + i) % 300));

function add(id: number, job: Partial<GenerateJob>, prompt: readonly number[] = PROMPT): void {
  const off = { repeatPenalty: 1, frequencyPenalty: 0, presencePenalty: 0, penaltyTokens: 0, logitBias: [] };
  const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, seed: 1, ...off };
  const input = { kind: "tokens", tokens: prompt } as const;
  const whole: GenerateJob = {
    kind: "generate",
    id,
    client: "a",
    prompt: input,
    stop: [],
    sampling,
    streams: true,
    ...job,
  };
  const around = { model, candidates: new TokenCandidates(model.vocabularySize), contextLength: CONTEXT_LENGTH };
  batcher.add(new RunningAnswer(whole, prompt, around));
}
const SCORED = { echo: true, logProbabilities: 1, maxTokens: 0 };

test("a text is scored over several turns, and its scores are those of one piece", () => {
  add(1, SCORED);
  batcher.turn();
  expect(batcher.isIdle).toBe(false);
  expect(events).toEqual([]);
  expect(lanes.length(0)).toBeLessThanOrEqual(512);
  while (!batcher.isIdle) batcher.turn();
  const started = events.find((event) => event.kind === "started")!;
  const wanted = [scoreToken(model, undefined, PROMPT[0]!, 1)];
  lanes.clear(1);
  lanes.append(1, PROMPT.slice(0, -1), (i, logits) => wanted.push(scoreToken(model, logits, PROMPT[i + 1]!, 1)));
  expect(started.echo!.tokens).toEqual(wanted);
  expect(events.map(({ kind }) => kind)).toEqual(["started", "ended"]);
});

test("a text that is scored is given up where its client has gone", () => {
  add(1, SCORED);
  batcher.turn();
  batcher.cancel(1);
  expect(batcher.isIdle).toBe(true);
  batcher.turn();
  expect(events.map(({ kind }) => kind)).toEqual(["ended"]);
});

test("a prompt that comes beside a text that is scored is answered first, and finds nothing of it to use", () => {
  add(1, SCORED);
  batcher.turn();
  add(2, { maxTokens: 1 }, PROMPT.slice(0, 100));
  while (!batcher.isIdle) batcher.turn();
  expect(events.map(({ id, kind }) => [id, kind])).toEqual([
    [2, "started"],
    [2, "text"],
    [2, "ended"],
    [1, "started"],
    [1, "ended"],
  ]);
  expect(events[0]).toMatchObject({ cachedTokens: 0 });
});
