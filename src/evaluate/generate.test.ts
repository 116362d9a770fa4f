import { createHash } from "node:crypto";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { loadEngine } from "../native/engine.js";
import { LlamaModel } from "../native/llama-model.js";
import { choose } from "./choose.js";
import { generate, type Generated, type GenerateRequest } from "./generate.js";
import { commonPrefix, Lanes, PAGE_TOKENS, pieceLength } from "./lanes.js";
import { argmax } from "../support/argmax.js";

const threads = 1; // tests share the machine

test("pieceLength() cuts a prompt of any length at whole pages, with no piece below 8 tokens", () => {
  for (let length = 1; length < 2000; length++) {
    for (const most of [64, 200, 512]) {
      let left = length;
      while (left > 0) {
        const piece = pieceLength(left, most);
        expect(piece).toBeLessThanOrEqual(most);
        if (length >= 8) expect(piece).toBeGreaterThanOrEqual(8);
        left -= piece;
        if (left > 0) expect((length - left) % PAGE_TOKENS).toBe(0);
      }
    }
  }
});

test("commonPrefix() leaves at least 8 tokens of every prompt", () => {
  const prompt = Array.from({ length: 40 }, (_, i) => i);
  expect(commonPrefix([prompt, [...prompt.slice(0, 30), 99, ...prompt]])).toEqual(prompt.slice(0, 30));
  expect(commonPrefix([prompt, prompt])).toEqual(prompt.slice(0, 32));
  expect(commonPrefix([prompt, [1, 2]])).toEqual([]);
});

// f32 and f16 weights: the types whose kernels round differently for one row than for several.
describe.each(["stories260K-f32.gguf", "stories15M-f16.gguf"])("generate() with %s", (name) => {
  const path = sharedModel(name);
  let model: LlamaModel;
  beforeAll(() => {
    if (path) model = LlamaModel.load(loadEngine(), path);
  });
  afterAll(() => model?.[Symbol.dispose]());

  const request = (text: string, maxTokens: number, more: Partial<GenerateRequest> = {}): GenerateRequest => ({
    tokens: Array.from(model.tokenize(text, { addSpecial: true })),
    maxTokens,
    ...more,
  });

  /** Answers with a hash of every logit that they were picked from. */
  async function answersWithBits(requests: GenerateRequest[], parallel: number): Promise<string[]> {
    const hashes = requests.map(() => createHash("md5"));
    const observed = requests.map((one, i) => ({
      ...one,
      sampler: (logits: Float32Array): number => {
        hashes[i]!.update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength));
        return argmax(logits);
      },
    }));
    using lanes = new Lanes(model, { laneTokens: 256, threads });
    const answers = await generate(lanes, observed, { parallel });
    return answers.map(({ text, reason }, i) => `${reason} ${hashes[i]!.digest("hex")} ${text}`);
  }

  test.skipIf(!path)("gives the same bits however many sequences run at once", async () => {
    const prompts = [
      "Once upon a time",
      "The dog",
      "One day, Lily and her mom went to the big park",
      "It",
      "Tim saw a red",
    ];
    const requests = Array.from({ length: 9 }, (_, i) =>
      request(prompts[i % 5]! + " ".repeat(i > 4 ? 1 : 0), 3 + ((i * 5) % 11)),
    );
    const alone: string[] = [];
    for (const one of requests) alone.push(...(await answersWithBits([one], 7)));
    expect(await answersWithBits(requests, 7)).toEqual(alone);
    expect(await answersWithBits(requests, 3)).toEqual(alone);
    expect(await answersWithBits(requests, 1)).toEqual(alone);
  });

  test.skipIf(!path)("keeps every bit where prompts share a prefix that is computed once", async () => {
    const story = "Once upon a time there was a little girl who had a cat and a dog. ".repeat(3);
    const prompts = ["The cat was hungry and went", "The dog wanted to play, so it", "They all went to the big lake"];
    const tokens = prompts.map((end) => request(story + end, 1).tokens);
    const bits = (lanes: Lanes): Buffer[] =>
      tokens.map((one, lane) => Buffer.from(Float32Array.from(lanes.prefill(lane, one)).buffer));
    using whole = new Lanes(model, { laneTokens: 256, threads });
    using shared = new Lanes(model, { laneTokens: 256, threads, keepsPrefix: true });
    expect(shared.sharePrefix(tokens)).toBeGreaterThan(32);
    expect(bits(shared)).toEqual(bits(whole));
  });

  test.skipIf(!path)("keeps every bit of a step in any lane, beside lanes that are left out", () => {
    using lanes = new Lanes(model, { laneTokens: 256, threads, count: 12 });
    const { tokens } = request("Once upon a time, there was a small dog", 1);
    for (let lane = 0; lane < 12; lane++) lanes.prefill(lane, tokens);
    const seen = new Set<string>();
    for (const chosen of [[0], [11], [0, 11], [2, 3, 5, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]) {
      const step = chosen.map((lane) => ({ lane, token: tokens[1]! }));
      lanes.step(step, (_, logits) => {
        seen.add(
          createHash("md5")
            .update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength))
            .digest("hex"),
        );
      });
      for (const lane of chosen) expect(lanes.truncate(lane, tokens.length)).toBe(tokens.length);
    }
    expect(seen.size).toBe(1);
  });

  test.skipIf(!path)("ends an answer at a stop text, at its length, and at the end of the context", async () => {
    using lanes = new Lanes(model, { laneTokens: 256, threads });
    const answers = await generate(lanes, [
      request("Once upon a time", 300, { stop: ["."] }),
      request("Once upon a time", 5),
      request("Once upon a time ".repeat(40), 300),
    ]);
    expect(answers.map(({ reason }) => reason)).toEqual(["stop", "length", "context"]);
    expect(answers[0]!.text).toMatch(/^, there was a [^.]*$/);
    expect(answers[1]!.answerTokens).toBe(5);
    expect(answers[2]!.promptTokens + answers[2]!.answerTokens).toBe(257); // the last token is picked, but not computed
  });

  test.skipIf(!path)("reports answers as they end and stops when aborted", async () => {
    using lanes = new Lanes(model, { laneTokens: 256, threads });
    const controller = new AbortController();
    const seen: number[] = [];
    const onAnswer = (index: number, _answer: Generated): void => {
      seen.push(index);
      controller.abort();
    };
    const requests = [request("Once", 60), request("The", 2)];
    await expect(generate(lanes, requests, { onAnswer, signal: controller.signal })).rejects.toThrow(/aborted/);
    expect(seen).toEqual([1]);
  });

  test.skipIf(!path)("choose() finds the model's own continuation likelier than others", () => {
    using lanes = new Lanes(model, { laneTokens: 256, threads });
    const prompt = "Once upon a time";
    const choices = [", there was a quick economy", ", there was a little girl", ", there was a car"];
    const chosen = choose(lanes, {
      promptTokens: request(prompt, 1).tokens,
      wholeTokens: choices.map((choice) => request(prompt + choice, 1).tokens),
      divisors: [1, 1, 1],
    });
    expect(chosen.index).toBe(1);
    expect(chosen.logLikelihoods.every((value) => value < 0)).toBe(true);
  });

  test.skipIf(!path)("choose() gives choices of one token the probabilities of a softmax", () => {
    using lanes = new Lanes(model, { laneTokens: 256, threads });
    const { tokens } = request("Once upon a time", 1);
    const every = Array.from({ length: model.vocabularySize }, (_, token) => [...tokens, token]);
    const { logLikelihoods } = choose(lanes, {
      promptTokens: tokens,
      wholeTokens: every.slice(0, 512),
      divisors: every.map(() => 1),
    });
    const total = logLikelihoods.reduce((sum, value) => sum + Math.exp(value), 0);
    expect(total).toBeLessThanOrEqual(1 + 1e-9);
    if (model.vocabularySize === 512) expect(total).toBeCloseTo(1, 9);
  });
});
