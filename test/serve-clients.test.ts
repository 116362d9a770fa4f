// The official clients of OpenAI, Ollama and the AI SDK, unchanged, against `pare serve`.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, jsonSchema, Output, streamText, tool } from "ai";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { PareServer } from "../src/serve/serve.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED, startServer } from "./serve-fixture.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const QUESTION = [{ role: "user" as const, content: "Speaker to full in the lounge" }];
const ANSWER = '{"intent":"volume.set","room":"living room","value":100}';
const SCHEMA = {
  type: "object",
  properties: { room: { enum: ["attic", "cellar"] }, level: { type: "integer", minimum: 0, maximum: 10 } },
  required: ["room", "level"],
  additionalProperties: false,
} as const;
/** A template of the Hermes form, on a model without sense: tool calls come only where they are demanded. */
const TOOL_TEMPLATE =
  "{% if tools %}{% for tool in tools %}<tool_call>{{ tool | tojson }}{% endfor %}{% endif %}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: ";

const folder = temporaryFolder();
let server: PareServer;
let openai: OpenAI;
let ollama: Ollama;

beforeAll(async () => {
  await writeSyntheticModel(folder.path("tools.gguf"), { contextLength: 2048, chatTemplate: TOOL_TEMPLATE });
  server = await startServer({ models: [`home=${BUNDLED}`, `tools=${folder.path("tools.gguf")}`] });
  openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none-needed", maxRetries: 0 });
  ollama = new Ollama({ host: server.url });
});
afterAll(async () => {
  await server.close();
  folder[Symbol.dispose]();
});

const setLight = {
  type: "function" as const,
  function: {
    name: "set_light",
    description: "Sets a light",
    parameters: SCHEMA as unknown as Record<string, unknown>,
  },
};

function expectArguments(value: unknown): void {
  expect(value).toEqual({ room: expect.stringMatching(/^(attic|cellar)$/), level: expect.any(Number) });
}

describe("openai", () => {
  test("chats", async () => {
    const { choices, usage, model } = await openai.chat.completions.create({
      model: "home",
      messages: QUESTION,
      temperature: 0,
    });
    expect(choices).toMatchObject([{ message: { role: "assistant", content: ANSWER }, finish_reason: "stop" }]);
    expect(usage!.prompt_tokens + usage!.completion_tokens).toBe(usage!.total_tokens);
    expect(model).toBe("home");
  });

  test("streams, with usage at the end", async () => {
    const stream = await openai.chat.completions.create({
      model: "home",
      messages: QUESTION,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    const reasons: unknown[] = [];
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.finish_reason) reasons.push(chunk.choices[0].finish_reason);
      usage = chunk.usage ?? usage;
    }
    expect({ text, reasons }).toEqual({ text: ANSWER, reasons: ["stop"] });
    expect(usage!.completion_tokens).toBeGreaterThan(10);
  });

  test("calls a tool where one is demanded, whole and streamed", async () => {
    const request = {
      model: "tools",
      messages: QUESTION,
      tools: [setLight],
      tool_choice: "required" as const,
      seed: 1,
    };
    const { choices } = await openai.chat.completions.create(request);
    expect(choices[0]!.finish_reason).toBe("tool_calls");
    const call = choices[0]!.message.tool_calls![0]! as OpenAI.ChatCompletionMessageFunctionToolCall;
    expect(call.function.name).toBe("set_light");
    expectArguments(JSON.parse(call.function.arguments));
    const streamed = await openai.chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices[0]!.message.tool_calls![0]).toMatchObject({ function: call.function });
  });

  test("takes a tool's result in the conversation", async () => {
    const { choices } = await openai.chat.completions.create({
      model: "tools",
      max_tokens: 5,
      tools: [setLight],
      tool_choice: "none",
      messages: [
        ...QUESTION,
        {
          role: "assistant",
          tool_calls: [{ id: "call_1", type: "function", function: { name: "set_light", arguments: '{"level":3}' } }],
        },
        { role: "tool", tool_call_id: "call_1", content: "done" },
      ],
    });
    expect(choices[0]!.finish_reason).toBe("length");
  });

  test("holds an answer to a JSON Schema", async () => {
    const response_format = {
      type: "json_schema" as const,
      json_schema: { name: "light", schema: SCHEMA as unknown as Record<string, unknown> },
    };
    const { choices } = await openai.chat.completions.create({ model: "home", messages: QUESTION, response_format });
    expectArguments(JSON.parse(choices[0]!.message.content!));
    const any = await openai.chat.completions.create({
      model: "home",
      messages: QUESTION,
      response_format: { type: "json_object" },
    });
    expect(typeof JSON.parse(any.choices[0]!.message.content!)).toBe("object");
  });

  test("gives several answers, the same from the same seed", async () => {
    const request = {
      model: "home",
      messages: QUESTION,
      temperature: 3,
      top_p: 1,
      top_k: 0,
      min_p: 0,
      n: 3,
      seed: 7,
      max_tokens: 24,
    };
    const [first, again] = [
      await openai.chat.completions.create(request),
      await openai.chat.completions.create(request),
    ];
    const texts = first.choices.map(({ message }) => message.content);
    expect(again.choices.map(({ message }) => message.content)).toEqual(texts);
    expect(new Set(texts).size).toBe(3);
  });

  test("ends an answer at a stop text", async () => {
    const { choices } = await openai.chat.completions.create({
      model: "home",
      messages: QUESTION,
      temperature: 0,
      stop: ['"room"'],
    });
    expect(choices[0]!.message.content).toBe('{"intent":"volume.set",');
  });

  test("tells how likely tokens were", async () => {
    const { choices } = await openai.chat.completions.create({
      model: "home",
      messages: QUESTION,
      temperature: 0,
      logprobs: true,
      top_logprobs: 2,
    });
    const tokens = choices[0]!.logprobs!.content!;
    expect(tokens.map(({ token }) => token).join("")).toBe(ANSWER);
    for (const { token, logprob, top_logprobs } of tokens) {
      expect(top_logprobs).toHaveLength(2);
      expect(top_logprobs[0]).toMatchObject({ token, logprob });
      expect(logprob).toBeLessThanOrEqual(0);
    }
  });

  test("scores a text with echo", async () => {
    const prompt = "Turn the light off";
    const scored = await openai.completions.create({ model: "home", prompt, max_tokens: 0, echo: true, logprobs: 0 });
    const { tokens, token_logprobs, text_offset } = scored.choices[0]!.logprobs!;
    expect(scored.choices[0]!.text).toBe(prompt);
    expect(tokens!.join("")).toBe(prompt);
    expect(text_offset!.map((at, i) => prompt.startsWith(tokens![i]!, at))).not.toContain(false);
    expect(token_logprobs![0]).toBeNull();
    expect(Math.max(...(token_logprobs!.slice(1) as number[]))).toBeLessThan(0);
  });

  test("bends a choice by logit_bias and by penalties", async () => {
    const plain = await openai.completions.create({ model: "home", prompt: "a", max_tokens: 8, temperature: 0 });
    const bent = await openai.completions.create({
      model: "home",
      prompt: "a",
      max_tokens: 8,
      temperature: 0,
      logit_bias: { "100": 100 },
    });
    const tokens = await openai.completions.create({ model: "home", prompt: [100], max_tokens: 0, echo: true });
    expect(bent.choices[0]!.text).toBe(tokens.choices[0]!.text.repeat(8));
    const varied = await openai.completions.create({
      model: "home",
      prompt: "a",
      max_tokens: 8,
      temperature: 0,
      logit_bias: { "100": 100 },
      presence_penalty: 2,
      frequency_penalty: 2,
    });
    expect(plain.choices[0]!.text).not.toBe(bent.choices[0]!.text);
    expect(varied.choices[0]!.text).toBe(bent.choices[0]!.text); // 100 is more than penalties of 2 and 8 · 2
  });

  test("embeds texts as vectors of length 1, alike for like texts", async () => {
    const { data } = await openai.embeddings.create({
      model: "home",
      input: ["lights off", "lights off", "lock the door"],
    });
    const [a, b, c] = data.map(({ embedding }) => embedding);
    const product = (x: number[], y: number[]): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    expect(product(a!, a!)).toBeCloseTo(1, 5);
    expect(a).toEqual(b);
    expect(product(a!, c!)).toBeLessThan(0.999);
  });

  test("lists models and tells one", async () => {
    const names = [];
    for await (const model of openai.models.list()) names.push(model.id);
    expect(names).toEqual(["home", "tools"]);
    expect(await openai.models.retrieve("tools")).toMatchObject({ id: "tools", object: "model" });
  });

  test("raises the errors that it has classes for", async () => {
    await expect(openai.chat.completions.create({ model: "nothing", messages: QUESTION })).rejects.toThrow(
      OpenAI.NotFoundError,
    );
    await expect(openai.chat.completions.create({ model: "home", messages: [] })).rejects.toThrow(
      OpenAI.BadRequestError,
    );
    const long = [{ role: "user" as const, content: "light ".repeat(400) }];
    await expect(openai.chat.completions.create({ model: "home", messages: long, stream: true })).rejects.toThrow(
      /has \d+ tokens, and the context of this model's server 256/,
    );
    const image = [{ role: "user" as const, content: [{ type: "image_url" as const, image_url: { url: "data:," } }] }];
    await expect(openai.chat.completions.create({ model: "home", messages: image })).rejects.toThrow(
      OpenAI.BadRequestError,
    );
    const schema = {
      type: "json_schema" as const,
      json_schema: { name: "a", schema: { type: "array", uniqueItems: true } },
    };
    await expect(
      openai.chat.completions.create({ model: "home", messages: QUESTION, response_format: schema }),
    ).rejects.toThrow(/"uniqueItems"/);
  });
});

describe("ollama", () => {
  test("chats, whole and streamed", async () => {
    const request = { model: "home", messages: QUESTION, options: { temperature: 0 } };
    expect(await ollama.chat(request)).toMatchObject({ message: { content: ANSWER }, done: true, done_reason: "stop" });
    let text = "";
    for await (const { message } of await ollama.chat({ ...request, stream: true })) text += message.content;
    expect(text).toBe(ANSWER);
  });

  test("generates through the template, and raw", async () => {
    const prompt = QUESTION[0]!.content;
    const { response, eval_count } = await ollama.generate({
      model: "home:latest",
      prompt,
      options: { temperature: 0 },
    });
    expect(response).toBe(ANSWER);
    expect(eval_count).toBeGreaterThan(10);
    const raw = await ollama.generate({
      model: "home",
      prompt: "{",
      raw: true,
      options: { temperature: 0, num_predict: 4 },
    });
    expect(raw).toMatchObject({ eval_count: 4, done_reason: "length" });
  });

  test("holds an answer to a JSON Schema", async () => {
    const { message } = await ollama.chat({ model: "home", messages: QUESTION, format: SCHEMA });
    expectArguments(JSON.parse(message.content));
  });

  test("takes tools", async () => {
    const answer = await ollama.chat({
      model: "tools",
      messages: QUESTION,
      tools: [setLight as never],
      options: { num_predict: 5 },
    });
    expect(answer.done).toBe(true);
  });

  test("embeds, lists and shows", async () => {
    const { embeddings } = await ollama.embed({ model: "home", input: ["a", "b"] });
    expect(embeddings.map(({ length }) => length)).toEqual([256, 256]);
    expect((await ollama.list()).models.map(({ name }) => name)).toEqual(["home", "tools"]);
    expect(await ollama.show({ model: "tools" })).toMatchObject({ capabilities: ["completion", "embedding", "tools"] });
    expect(await ollama.version()).toHaveProperty("version");
  });

  test("raises errors", async () => {
    await expect(ollama.chat({ model: "nothing", messages: QUESTION })).rejects.toThrow('There is no model "nothing"');
  });
});

describe("ai (the AI SDK)", () => {
  const models = () =>
    createOpenAICompatible({ name: "pare", baseURL: `${server.url}/v1`, supportsStructuredOutputs: true });

  test("generates and streams text", async () => {
    const model = models()("home");
    const { text, finishReason, usage } = await generateText({ model, messages: QUESTION, temperature: 0 });
    expect({ text, finishReason }).toEqual({ text: ANSWER, finishReason: "stop" });
    expect(usage.outputTokens).toBeGreaterThan(10);
    let streamed = "";
    for await (const piece of streamText({ model, messages: QUESTION, temperature: 0 }).textStream) streamed += piece;
    expect(streamed).toBe(ANSWER);
  });

  test("generates an object of a schema", async () => {
    const { output } = await generateText({
      model: models()("home"),
      messages: QUESTION,
      output: Output.object({ schema: jsonSchema<{ room: string; level: number }>(SCHEMA) }),
    });
    expectArguments(output);
  });

  test("runs a tool that is demanded", async () => {
    const tools = {
      set_light: tool({
        description: "Sets a light",
        inputSchema: jsonSchema<object>(SCHEMA),
        execute: (input) => input,
      }),
    };
    const { toolResults } = await generateText({
      model: models()("tools"),
      messages: QUESTION,
      tools,
      toolChoice: "required",
      maxRetries: 0,
    });
    expectArguments(toolResults[0]!.output);
  });

  test("embeds several texts", async () => {
    const { embeddings } = await embedMany({ model: models().textEmbeddingModel("home"), values: ["a", "b"] });
    expect(embeddings.map(({ length }) => length)).toEqual([256, 256]);
  });

  test("raises errors", async () => {
    await expect(generateText({ model: models()("nothing"), messages: QUESTION, maxRetries: 0 })).rejects.toThrow(
      'There is no model "nothing"',
    );
  });
});
