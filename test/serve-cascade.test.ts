// A cascade as a client sees it: the small model's answer where it is sure, else the large one's, or another server's.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { quantize } from "../src/passes/quantize/quantize.js";
import type { LogEntry } from "../src/serve/observe/request-record.js";
import type { PareServer, ServeOptions } from "../src/serve/serve.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED, post, startServer, waitingOn } from "./serve-fixture.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const folder = temporaryFolder();
const small = folder.path("small.gguf");
afterAll(() => folder[Symbol.dispose]());
beforeAll(async () => {
  await quantize({ input: BUNDLED, output: small, type: "tq1_0" }); // answers this question otherwise
});

const QUESTION = { messages: [{ role: "user", content: "i want the back door locked thank you" }], temperature: 0 };

/** A server with one cascade called `both`, and what it logs. */
async function startCascade(
  rules: object,
  options: Partial<ServeOptions> = {},
): Promise<{ server: PareServer; entries: LogEntry[] }> {
  const path = folder.path("cascade.json");
  const all = {
    version: 1,
    name: "both",
    small: "small.gguf",
    large: BUNDLED,
    of: "answers",
    threshold: 0,
    ...rules,
  };
  writeFileSync(path, JSON.stringify(all));
  const entries: LogEntry[] = [];
  const onRequest = (entry: LogEntry): void => void entries.push(entry);
  return { server: await startServer({ cascades: [path], onRequest, ...options }), entries };
}

async function answer(server: PareServer, model: string): Promise<string> {
  const response = await post(server, "/v1/chat/completions", { ...QUESTION, model });
  return ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
}

test("the small model answers from the threshold on, the large one below it", async () => {
  const sure = await startCascade({ threshold: 0 });
  await using server = sure.server;
  expect(await answer(server, "both")).toBe(await answer(server, "small"));
  expect(sure.entries[0]).toMatchObject({ model: "both", answeredBy: ["small"] });
  expect(await (await fetch(`${server.url}/metrics`)).text()).toContain(
    'pare_cascade_answers_total{model="both",by="small"} 1',
  );

  const unsure = await startCascade({ threshold: 1.5 });
  await using other = unsure.server;
  expect(await answer(other, "both")).toBe(await answer(other, "home"));
  expect(unsure.entries[0]).toMatchObject({ model: "both", answeredBy: ["home"] });
  expect(await answer(other, "both")).not.toBe(await answer(other, "small"));
});

test("an answer that does not match the pattern, or is cut off, is not taken", async () => {
  const { server, entries } = await startCascade({ pattern: "^no answer looks like this$" });
  await using _ = server;
  expect(await answer(server, "both")).toBe(await answer(server, "home"));
  await post(server, "/v1/chat/completions", { ...QUESTION, model: "both", max_tokens: 1 });
  expect(entries.filter(({ model }) => model === "both").map(({ answeredBy }) => answeredBy)).toEqual([
    ["home"],
    ["home"],
  ]);
});

test("a stream holds one model's words alone", async () => {
  const { server } = await startCascade({ threshold: 1.5 });
  await using _ = server;
  const response = await post(server, "/v1/chat/completions", { ...QUESTION, model: "both", stream: true });
  const text = (await response.text())
    .split("\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)) as { choices: { delta: { content?: string } }[] })
    .map(({ choices }) => choices[0]?.delta.content ?? "");
  expect(text.join("")).toBe(await answer(server, "home"));
});

test("another server can be the large model, and is a clear error where it can't be reached", async () => {
  await using upstream = await startServer();
  const large = { url: `${upstream.url}/v1`, model: "home" };
  const { server, entries } = await startCascade({ threshold: 1.5, large });
  await using _ = server;
  expect(await answer(server, "both")).toBe(await answer(upstream, "home"));
  expect(entries[0]).toMatchObject({ answeredBy: ["home"], status: 200 });
  await upstream.close();
  const response = await post(server, "/v1/chat/completions", { ...QUESTION, model: "both" });
  expect(response.status).toBe(502);
  expect(await response.text()).toContain("can't be reached");
});

describe("a full queue", () => {
  const endless = folder.path("endless.gguf");
  const oneEach = { models: [`home=${BUNDLED}`, `endless=${endless}`], parallel: 1, waitingMax: 1 };
  const short = { model: "both", prompt: "lock the door", max_tokens: 8, temperature: 0 };
  beforeAll(() => writeSyntheticModel(endless, { contextLength: 4096, endless: true }));

  const isOfBoth = ({ model }: LogEntry): boolean => model === "both";

  /** Answers that take far longer than a test, on one lane. */
  async function fill(server: PareServer): Promise<void> {
    const long = { model: "endless", prompt: "the rain", max_tokens: 4000, n: 16 };
    post(server, "/v1/completions", long).catch(() => undefined); // until the server stops
    while ((await waitingOn(server, "endless")) < 1);
  }

  test("of the small model is passed by, and the large one answers", async () => {
    const { server, entries } = await startCascade({ small: "endless.gguf" }, oneEach);
    await using _ = server;
    await fill(server);
    expect((await post(server, "/v1/completions", { ...short, n: 3 })).status).toBe(200);
    expect(entries.find(isOfBoth)).toMatchObject({ answeredBy: ["home", "home", "home"] });
    expect(await waitingOn(server, "endless")).toBeGreaterThan(0); // nobody waited for it
  });

  test("of the small model keeps nobody from another server", async () => {
    await using upstream = await startServer();
    const large = { url: `${upstream.url}/v1`, model: "home" };
    const { server, entries } = await startCascade({ small: "endless.gguf", large }, oneEach);
    await using _ = server;
    await fill(server);
    expect((await post(server, "/v1/completions", short)).status).toBe(200);
    expect(entries.find(isOfBoth)).toMatchObject({ answeredBy: ["home"] });
  });

  test("at another server is an error: no more answers are under way there than may wait", async () => {
    const silent = createServer().listen(0, "127.0.0.1"); // it never answers
    const asked = once(silent, "request");
    await once(silent, "listening");
    const large = { url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/v1`, model: "home" };
    const { server } = await startCascade({ threshold: 1.5, large }, { waitingMax: 1 });
    await using _ = server;
    const first = post(server, "/v1/completions", short).catch(() => undefined); // until the server stops
    await asked;
    expect((await post(server, "/v1/completions", short)).status).toBe(503);
    silent.closeAllConnections();
    expect((await first)!.status).toBe(502);
    silent.close();
  });

  test("of the large model is an error", async () => {
    const { server } = await startCascade({ large: "endless.gguf" }, oneEach);
    await using _ = server;
    await fill(server);
    const response = await post(server, "/v1/completions", short);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { message: '1 requests wait for "both" already' } });
  });
});

test.each([
  [{ threshold: -1 }, '"threshold"'],
  [{ pattern: "(" }, "is no regular expression"],
  [{ small: "none.gguf" }, "none.gguf"],
  [{ of: "choices" }, "its threshold is for choices"],
  [{ name: "home" }, 'both called "home"'],
])("a cascade with %j is refused", async (rules, message) => {
  await expect(startCascade(rules)).rejects.toThrow(message);
});
