import { describe, expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { chat, complete } from "./chat.js";

const threads = 1; // tests share the machine
const stories = sharedModel("stories15M-f16.gguf");
const chatModel = sharedModel("minimind2-small-f16.gguf");

/** What llama.cpp's own `llama-completion` prints greedily after "Once upon a time", 64 tokens. */
const GOLDEN =
  ", there was a little girl named Lily. She loved to play outside in the sunshine. One day, she saw a big, red ball in the sky. It was the sun! She thought it was so pretty.\nLily wanted to play with the ball, but it was too high up in";

describe("complete()", () => {
  test.skipIf(!stories)("continues raw text greedily, byte for byte as llama.cpp does", async () => {
    const answer = complete({ model: stories!, prompt: "Once upon a time", greedy: true, maxTokens: 64, threads });
    let text = "";
    for await (const piece of answer) text += piece;
    expect(text).toBe(GOLDEN);
    expect(await answer.result).toMatchObject({ text: GOLDEN, reason: "length", promptTokens: 5, answerTokens: 64 });
  });

  test.skipIf(!stories)("samples the same text from the same seed", async () => {
    const sampled = async (seed: number): Promise<string> =>
      (await complete({ model: stories!, prompt: "Once", seed, temperature: 1.5, maxTokens: 12, threads }).result).text;
    const first = await sampled(1);
    expect(await sampled(1)).toBe(first);
    expect(await sampled(2)).not.toBe(first);
  });

  test.skipIf(!chatModel)("answers through the model's chat template", async () => {
    const prompt = "What is the capital of France?";
    const answer = complete({ model: chatModel!, prompt, greedy: true, maxTokens: 20, threads });
    expect(await answer.result).toMatchObject({ text: "The capital of France is Paris.", reason: "end" });
  });

  test("rejects where the model can't be loaded, from result and from the pieces", async () => {
    const answer = complete({ model: "/nowhere/m.gguf", prompt: "a" });
    await expect(answer.result).rejects.toThrow('Cannot read "/nowhere/m.gguf": no such file');
    await expect(answer[Symbol.asyncIterator]().next()).rejects.toThrow(/no such file/);
  });

  test.skipIf(!stories)("refuses messages for a model without a chat template", async () => {
    const answer = complete({ model: stories!, prompt: [{ role: "user", content: "Hi" }], threads });
    await expect(answer.result).rejects.toThrow(/stories15M-f16.gguf" is continued raw, so it can't take messages/);
  });

  test.skipIf(!stories)("rejects with the signal's reason when aborted, even while the model loads", async () => {
    const controller = new AbortController();
    const answer = complete({ model: stories!, prompt: "Once", threads, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(answer.result).rejects.toThrow("enough");
  });

  test("refuses a bad sampling option at once", () => {
    expect(() => complete({ model: "m.gguf", prompt: "a", topP: 2 })).toThrow(RangeError);
  });
});

describe("chat()", () => {
  test.skipIf(!chatModel)("remembers the conversation and computes only what is new", async () => {
    await using session = chat({ model: chatModel!, greedy: true, maxTokens: 24, threads, system: "You are helpful." });
    expect(await session.ready).toMatchObject({ usesTemplate: true });
    const first = await session.send("What is the capital of France?").result;
    expect(first.prefillTokens).toBe(first.promptTokens);
    const second = await session.send("And of Italy?").result;
    expect(second.prefillTokens).toBeLessThan(second.promptTokens - first.promptTokens + 1);
    expect(session.messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user", "assistant"]);
    expect(session.messages[2]!.content).toBe(first.text);
  });

  test.skipIf(!stories)("ends an answer that is aborted and keeps the session", async () => {
    await using session = chat({ model: stories!, greedy: true, maxTokens: 100, threads });
    const controller = new AbortController();
    const answer = session.send("Once upon a time", { signal: controller.signal });
    for await (const _piece of answer) controller.abort();
    const { reason, text } = await answer.result;
    expect(reason).toBe("aborted");
    expect(GOLDEN.startsWith(text.slice(0, 40))).toBe(true);
    const again = await session.send("Once upon a time").result;
    expect(again.text.startsWith(text)).toBe(true);
  });

  test.skipIf(!stories)("goes on after a prompt that is longer than the context", async () => {
    await using session = chat({ model: stories!, greedy: true, maxTokens: 3, threads });
    await expect(session.send("Once upon a time ".repeat(100)).result).rejects.toThrow(
      /^The conversation has \d+ tokens, the context 256$/,
    );
    expect((await session.send("Once upon a time").result).answerTokens).toBe(3);
  });

  test.skipIf(!stories)("takes one message at a time", async () => {
    await using session = chat({ model: stories!, greedy: true, maxTokens: 3, threads });
    const first = session.send("Once");
    expect(() => session.send("Twice")).toThrow("Cannot send a message: the answer before has not ended");
    await first.result;
  });
});
