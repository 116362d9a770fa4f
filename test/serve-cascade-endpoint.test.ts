// A cascade whose large model is on another server: what that is asked, what is refused before anybody is asked, and how it fails.
import { writeFileSync } from "node:fs";

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";

import type { LogEntry } from "../src/serve/observe/request-record.js";
import type { PareServer } from "../src/serve/serve.js";
import { temporaryFolder } from "./command.js";
import { EndpointServer, json } from "./endpoint-server.js";
import { BUNDLED, post, startServer } from "./serve-fixture.js";

const CHAT = "/v1/chat/completions";
const messages = [{ role: "user", content: "i want the back door locked thank you" }];
const UNSURE = { model: "unsure", messages, temperature: 0 };

const folder = temporaryFolder();
const entries: LogEntry[] = [];
let endpoint: EndpointServer;
let server: PareServer;
let onDeath = (): void => undefined;

/** Two cascades: the small model of `sure` is always taken, that of `unsure` never. */
beforeAll(async () => {
  vi.stubEnv("PARE_BIG_KEY", "sk-big-0001");
  endpoint = await EndpointServer.start();
  const large = { url: endpoint.url, model: "big", takes: ["top_k"], apiKeyVariable: "PARE_BIG_KEY" };
  const cascades = Object.entries({ sure: 0, unsure: 1.5 }).map(([name, threshold]) => {
    const path = folder.path(`${name}.json`);
    writeFileSync(path, JSON.stringify({ version: 1, name, small: BUNDLED, large, of: "answers", threshold }));
    return path;
  });
  const onRequest = (entry: LogEntry): void => void entries.push(entry);
  server = await startServer({ cascades, onRequest, onEngineDeath: () => onDeath() });
});
afterAll(async () => {
  await server.close();
  await endpoint[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
  vi.unstubAllEnvs();
});
beforeEach(() => {
  endpoint.behave = (_, response) => json(response, 200, ANSWER);
});
afterEach(() => {
  endpoint.seen.length = 0;
  entries.length = 0;
});

const ANSWER = {
  choices: [{ finish_reason: "stop", message: { content: "Locked." }, text: "Locked." }],
  usage: { prompt_tokens: 9, completion_tokens: 3 },
};

test("the endpoint is asked what the client wrote, with none of this server's defaults", async () => {
  const format = { type: "json_schema", json_schema: { name: "door", strict: true, schema: { type: "object" } } };
  const fields = { messages, response_format: format, seed: 7, max_completion_tokens: 20, top_k: 5 };
  const response = await post(server, CHAT, { ...fields, model: "unsure", n: 2, user: "somebody" });
  expect(response.status).toBe(200);
  const { choices, usage } = (await response.json()) as { choices: unknown[]; usage: object };
  expect(choices).toHaveLength(2);
  expect(usage).toMatchObject({ prompt_tokens: 9, completion_tokens: 6 });
  const seen = { path: CHAT, authorization: "Bearer sk-big-0001" };
  expect(endpoint.seen).toEqual([
    { ...seen, body: { ...fields, model: "big" } },
    { ...seen, body: { ...fields, model: "big", seed: 8 } },
  ]);
});

test("calls of tools come from the endpoint, and its results go back to it, through either API", async () => {
  const tools = [{ type: "function", function: { name: "lock", parameters: { type: "object" } } }];
  const call = { id: "x1", type: "function", function: { name: "lock", arguments: '{"door":"back"}' } };
  endpoint.behave = (_, response) =>
    json(response, 200, { choices: [{ finish_reason: "tool_calls", message: { content: null, tool_calls: [call] } }] });
  const openai = await (await post(server, CHAT, { ...UNSURE, model: "sure", tools, stream: true })).text();
  expect(openai).toContain('"name":"lock","arguments":"{\\"door\\":\\"back\\"}"');
  expect(openai).toContain('"finish_reason":"tool_calls"');
  const given = { function: { name: "lock", arguments: { door: "back" } } };
  const turns = [...messages, { role: "assistant", tool_calls: [given] }, { role: "tool", content: "ok" }];
  const ollama = await post(server, "/api/chat", { model: "sure", messages: turns, tools, stream: false });
  expect(await ollama.json()).toMatchObject({ message: { content: "", tool_calls: [given] } });
  expect(endpoint.seen.map(({ body }) => body)).toEqual([
    { model: "big", messages, tools, temperature: 0 },
    {
      model: "big",
      messages: [
        ...messages,
        { role: "assistant", content: "", tool_calls: [{ ...call, id: "call_0" }] },
        { role: "tool", content: "ok", tool_call_id: "call_0" },
      ],
      tools,
    },
  ]);
});

test.each([
  [CHAT, { messages, logprobs: true }, "logprobs"],
  [CHAT, { messages, min_p: 0.1 }, "min_p"],
  [CHAT, { messages, chat_template_kwargs: {} }, "chat_template_kwargs"],
  ["/v1/completions", { prompt: [1, 2] }, "prompt"],
  ["/v1/completions", { prompt: "Once", echo: true }, "echo"],
])("%s with %j is refused before the small model is asked", async (path, body, param) => {
  const response = await post(server, path, { ...body, model: "sure" });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { param } });
  expect(entries[0]).toMatchObject({ promptTokens: 0, answerTokens: 0 });
  expect(entries[0]).not.toHaveProperty("answeredBy");
  expect(endpoint.seen).toEqual([]);
});

test("a bias of tokens is for the large model, whose tokens they are", async () => {
  await post(server, CHAT, { ...UNSURE, model: "sure", logit_bias: { "5": -100 } });
  expect(endpoint.seen[0]!.body).toMatchObject({ logit_bias: { "5": -100 } });
});

test("Ollama's options become OpenAI's fields", async () => {
  const options = { temperature: 0, num_predict: 12, stop: ["."], top_k: 3 };
  const asked = { model: "unsure", options, format: "json", stream: false };
  const response = await post(server, "/api/generate", { ...asked, prompt: "Lock it", system: "Be brief" });
  expect(await response.json()).toMatchObject({ response: "Locked.", prompt_eval_count: 9, eval_count: 3 });
  expect(endpoint.seen[0]!.body).toEqual({
    model: "big",
    messages: [
      { role: "system", content: "Be brief" },
      { role: "user", content: "Lock it" },
    ],
    temperature: 0,
    max_tokens: 12,
    stop: ["."],
    top_k: 3,
    response_format: { type: "json_object" },
  });
});

test.each([
  [429, { "retry-after": "17" }, 429, "17"],
  [503, {}, 503, null],
  [500, {}, 502, null],
  [422, {}, 400, null],
])(
  "an endpoint's %i with %j is a %i, in a stream too, and nobody's answer",
  async (status, headers, expected, after) => {
    endpoint.behave = (_, response) => json(response, status, { error: { message: "because" } }, headers);
    for (const stream of [false, true]) {
      const response = await post(server, CHAT, { ...UNSURE, stream });
      expect([response.status, response.headers.get("retry-after")]).toEqual([expected, after]);
      expect(await response.text()).toContain(expected === 400 ? "refused this: because" : "The cascade's large model");
    }
    expect(entries.map(({ answeredBy }) => answeredBy)).toEqual([undefined, undefined]);
  },
);

test("when one of several answers fails, the others are ended", async () => {
  for (const stream of [false, true]) {
    const ended = new Promise<void>((resolve) => {
      endpoint.behave = (_, response, count) => {
        if (count % 2 === 1) response.once("close", resolve); // is never answered
        else json(response, 500, {});
      };
    });
    expect((await post(server, CHAT, { ...UNSURE, n: 2, stream })).status).toBe(502);
    await ended;
  }
});

test("vectors are the large model's", async () => {
  endpoint.behave = (_, response) =>
    json(response, 200, {
      data: [
        { index: 1, embedding: [0, 1] },
        { index: 0, embedding: [1, 0] },
      ],
    });
  const response = await post(server, "/v1/embeddings", { model: "sure", input: ["one", "two"] });
  expect(await response.json()).toMatchObject({ data: [{ embedding: [1, 0] }, { embedding: [0, 1] }] });
  expect(endpoint.seen[0]).toMatchObject({ path: "/v1/embeddings", body: { model: "big", input: ["one", "two"] } });
  endpoint.behave = (_, response) => json(response, 404, {});
  expect((await post(server, "/api/embed", { model: "sure", input: "one" })).status).toBe(502);
});

test("the endpoint answers while the small model's engine is started again", async () => {
  const { processId } = server.models.find(({ name }) => name === "sure")!.loaded!;
  const died = new Promise<void>((resolve) => (onDeath = resolve));
  process.kill(processId, "SIGKILL");
  await died;
  const health = await fetch(`${server.url}/health`);
  expect(server.models.find(({ name }) => name === "sure")!.loaded).toBeUndefined();
  expect(health.status).toBe(200); // nobody waits for it
  const response = await post(server, CHAT, { ...UNSURE, model: "sure" });
  expect(await response.json()).toMatchObject({ choices: [{ message: { content: "Locked." } }] });
});

test("what Ollama's clients are told of it are names, not the small model's facts", async () => {
  const facts = { remote_model: "big", details: { parent_model: "home", family: "", parameter_size: "" } };
  const shown = await post(server, "/api/show", { model: "sure" });
  expect(await shown.json()).toMatchObject({ ...facts, template: "", model_info: {} });
  const { models } = (await (await fetch(`${server.url}/api/tags`)).json()) as { models: { name: string }[] };
  expect(models.find(({ name }) => name === "sure")).toMatchObject(facts);
});

test("a cascade whose key is not there is refused", async () => {
  const large = { url: endpoint.url, model: "big", apiKeyVariable: "PARE_NO_SUCH_KEY" };
  const path = folder.path("keyless.json");
  const cascade = { version: 1, name: "keyless", small: BUNDLED, large, of: "answers", threshold: 0 };
  writeFileSync(path, JSON.stringify(cascade));
  await expect(startServer({ cascades: [path] })).rejects.toThrow('"PARE_NO_SUCH_KEY", which is not set');
});
