// Routes by task as a client sees them: named in the model, in a header or in metadata, or found by what the request says.
import { writeFileSync } from "node:fs";

import { Ollama } from "ollama";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { LogEntry } from "../src/serve/observe/request-record.js";
import type { PareServer } from "../src/serve/serve.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED, post, startServer } from "./serve-fixture.js";

const ROUTES = `
tasks: { lights: one, doors: two, chat: one }
rules:
  - { task: doors, user: "\\\\bdoor" }
  - { task: lights, json: true }
default: chat
`;
const folder = temporaryFolder();
const entries: LogEntry[] = [];
let server: PareServer;
let openai: OpenAI;
let ollama: Ollama;

function start(routes: string): Promise<PareServer> {
  const path = folder.path("routes.yaml");
  writeFileSync(path, routes);
  const onRequest = (entry: LogEntry): void => void entries.push(entry);
  return startServer({ models: [`one=${BUNDLED}`, `two=${BUNDLED}`], parallel: 2, routes: path, onRequest });
}

beforeAll(async () => {
  server = await start(ROUTES);
  openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  ollama = new Ollama({ host: server.url });
});
afterAll(async () => {
  await server?.close();
  folder[Symbol.dispose]();
});

const asked = (content: string) => ({
  messages: [{ role: "user" as const, content }],
  temperature: 0,
  max_tokens: 4,
});

test("models list tasks and auto", async () => {
  const names = ["one", "two", "task:lights", "task:doors", "task:chat", "auto"];
  expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(names);
  expect((await openai.models.retrieve("task:doors")).id).toBe("task:doors");
  expect((await ollama.list()).models.map(({ name }) => name)).toEqual(names);
  expect((await ollama.show({ model: "auto" })).details.family).toBe("llama");
});

test.each<[string, { model: string; metadata?: { task: string } }, Record<string, string>, object]>([
  ["the model", { model: "task:doors" }, {}, { model: "two", task: "doors", routedBy: "model" }],
  [
    "metadata",
    { model: "one", metadata: { task: "doors" } },
    {},
    { model: "two", task: "doors", routedBy: "metadata" },
  ],
  ["a header", { model: "two" }, { "X-Pare-Task": "lights" }, { model: "one", task: "lights", routedBy: "header" }],
])("a task is named by %s", async (_by, request, headers, expected) => {
  const { data, response } = await openai.chat.completions
    .create({ ...asked("hello"), ...request }, { headers })
    .withResponse();
  expect(entries.at(-1)).toMatchObject(expected);
  expect(data.model).toBe(entries.at(-1)!.model);
  expect(response.headers.get("x-pare-task")).toBe(entries.at(-1)!.task);
});

test("auto goes by the first rule that holds, else to the default, streams and other paths too", async () => {
  const json = { response_format: { type: "json_object" as const } };
  const stream = await openai.chat.completions.create({
    ...asked("lock the Door"),
    ...json,
    model: "auto",
    stream: true,
  });
  const models = new Set<string>();
  for await (const { model } of stream) models.add(model);
  expect([...models]).toEqual(["two"]);
  await openai.chat.completions.create({ ...asked("hello"), ...json, model: "auto" });
  await openai.completions.create({ model: "auto", prompt: "hello", max_tokens: 1 });
  const messages = [{ role: "user", content: "open the door" }];
  for await (const { model } of await ollama.chat({
    model: "auto",
    messages,
    options: { num_predict: 2 },
    stream: true,
  })) {
    expect(model).toBe("two");
  }
  await ollama.generate({ model: "auto:latest", prompt: "hello", options: { num_predict: 2 } });
  expect(entries.slice(-5).map(({ path, task, routedBy }) => `${path} ${task} ${routedBy}`)).toEqual([
    "/v1/chat/completions doors rule 1",
    "/v1/chat/completions lights rule 2",
    "/v1/completions chat default",
    "/api/chat doors rule 1",
    "/api/generate chat default",
  ]);
  expect(await (await fetch(`${server.url}/metrics`)).text()).toContain(
    'pare_routed_requests_total{model="two",task="doors",by="rule 1"} 2',
  );
});

test("a model that is named is no route", async () => {
  await openai.chat.completions.create({ ...asked("open the door"), model: "one" });
  expect(entries.at(-1)).toMatchObject({ model: "one" });
  expect(entries.at(-1)).not.toHaveProperty("task");
});

test("vectors come from a task's model, and not from auto", async () => {
  const { model } = await openai.embeddings.create({ model: "task:doors", input: "hello", encoding_format: "float" });
  expect(model).toBe("two");
  expect((await ollama.embed({ model: "task:lights", input: "hello" })).model).toBe("one");
  const refused = openai.embeddings.create({ model: "auto", input: "hello", encoding_format: "float" });
  await expect(refused).rejects.toMatchObject({ status: 400, param: "model" });
});

test.each<[string, object, Record<string, string>, number, string]>([
  ["an unknown task", { model: "task:none" }, {}, 404, 'no task "none"; tasks here are "lights", "doors", "chat"'],
  ["one in a header", { model: "one" }, { "X-Pare-Task": "" }, 404, 'no task ""'],
  ["two tasks", { model: "task:doors" }, { "X-Pare-Task": "chat" }, 400, 'two tasks, "chat" and "doors"'],
  ["metadata that is no text", { model: "auto", metadata: { task: 1 } }, {}, 400, "metadata.task"],
  ["an unknown model", { model: "none" }, {}, 404, '"task:lights"'],
])("%s is a clear error", async (_what, request, headers, status, message) => {
  const body = { ...asked("hello"), ...request };
  for (const path of ["/v1/chat/completions", "/api/chat"].slice(0, "metadata" in request ? 1 : 2)) {
    const response = await post(server, path, body, { headers });
    expect(response.status).toBe(status);
    const { error } = (await response.json()) as { error: string | { message: string } };
    expect(typeof error === "string" ? error : error.message).toContain(message);
  }
});

test("without routes, a header's task is refused and metadata's is let pass", async () => {
  await using plain = await startServer();
  const refused = await post(plain, "/v1/chat/completions", asked("hello"), { headers: { "X-Pare-Task": "lights" } });
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain("--route");
  const passed = await post(plain, "/v1/chat/completions", { ...asked("hello"), metadata: { task: "lights" } });
  expect(passed.status).toBe(200);
});

test.each([
  ["tasks: { a: three }", 'for the model "three", which is not served'],
  ["tasks: {}", "names no task"],
  ["tasks: { 'a b': one }", "1 to 64 letters"],
  ["tasks: { a: one }\ndefault: b", 'there is no task "b"; tasks here are a'],
  ["tasks: { a: one }\nrules: [{ task: b, tools: true }]\ndefault: a", '"rules.0.task": there is no task "b"'],
  ["tasks: { a: one }\nrules: [{ task: a, tools: true }]", '"default": must say'],
  ["tasks: { a: one }\nrules: [{ task: a }]\ndefault: a", "says nothing of a request"],
  ["tasks: { a: one }\nrules: [{ task: a, user: '(' }]\ndefault: a", "is no regular expression"],
  ["tasks: { a: one }\nrules: [{ task: a, usre: x }]\ndefault: a", "usre"],
  ["tasks: { a: one", "line"],
  ["", "Cannot read routes"],
])("routes such as %j are refused", async (routes, message) => {
  await expect(start(routes)).rejects.toThrow(message);
});

test("a file that is not there is named, and so is a model with the name of a route", async () => {
  await expect(startServer({ routes: "no-such-routes.yaml" })).rejects.toThrow("no-such-routes.yaml");
  const path = folder.path("auto.yaml");
  writeFileSync(path, "tasks: { a: auto }\ndefault: a");
  await expect(startServer({ models: `auto=${BUNDLED}`, routes: path })).rejects.toThrow('A model is called "auto"');
});
