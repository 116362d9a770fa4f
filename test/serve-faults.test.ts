// What goes wrong around a server: engines that die, clients that vanish or do not read, requests that are none, wrong keys.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { malformedRequest } from "../bench/malformed-requests.mjs";
import { serve, type LogEntry } from "../src/index.js";
import type { PareServer } from "../src/serve/serve.js";
import { Random } from "../src/support/random.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED, post, startServer, waitingOn } from "./serve-fixture.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const MALFORMED = 400;
const folder = temporaryFolder();
const endless = folder.path("endless.gguf");
let server: PareServer;
const log: LogEntry[] = [];

beforeAll(async () => {
  await writeSyntheticModel(endless, { contextLength: 4096, endless: true });
  server = await startServer({
    models: `endless=${endless}`,
    parallel: 2,
    bodyBytes: 100_000,
    onRequest: (entry) => log.push(entry),
  });
});
afterAll(async () => {
  await server.close();
  folder[Symbol.dispose]();
});

const LONG = { prompt: "the rain", max_tokens: 4000, temperature: 0 };
const SHORT = { prompt: "the rain", max_tokens: 3, temperature: 0 };

async function expectServed(on: PareServer = server): Promise<void> {
  const response = await post(on, "/v1/completions", SHORT);
  expect(response.status).toBe(200);
  expect((await response.json()) as object).toMatchObject({ usage: { completion_tokens: 3 } });
}

test("requests in an engine that dies get an error that says so, and the next are served", async () => {
  await using own = await startServer({ models: endless });
  for (let death = 0; death < 2; death++) {
    const streaming = await post(own, "/v1/completions", { ...LONG, stream: true });
    const waiting = post(own, "/v1/completions", LONG);
    const reader = streaming.body!.pipeThrough(new TextDecoderStream()).getReader();
    await reader.read();
    process.kill(own.models[0]!.loaded!.processId, "SIGKILL");
    let text = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) text += piece.value;
    expect(text).toMatch(/data: \{"error":\{"message":"The engine stopped while serving .*engine_unavailable/);
    const failed = await waiting;
    expect(failed.status).toBe(503);
    expect(await failed.json()).toMatchObject({ error: { type: "server_error", code: "engine_unavailable" } });
    await expectServed(own);
  }
});

test("clients that vanish free their lanes", async () => {
  for (let i = 0; i < 4; i++) {
    const controller = new AbortController();
    const response = await post(server, "/v1/completions", { ...LONG, stream: true }, { signal: controller.signal });
    await response.body!.getReader().read();
    controller.abort();
  }
  const controllers = Array.from({ length: 4 }, () => new AbortController());
  const whole = controllers.map(({ signal }) => post(server, "/v1/completions", LONG, { signal }));
  for (const controller of controllers) controller.abort();
  await Promise.allSettled(whole);
  await expectServed(); // two lanes, eight answers of 4000 tokens: they would still be running
  expect(log.some(({ status, path }) => status === 499 && path === "/v1/completions")).toBe(true);
});

test("a reader that does not read keeps nobody else waiting", async () => {
  const { port } = new URL(server.url);
  const body = JSON.stringify({ ...LONG, stream: true });
  const socket = connect(Number(port), "127.0.0.1").pause();
  await once(socket, "connect");
  socket.write(`POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  await expectServed();
  socket.destroy();
  await expectServed();
});

test(`${MALFORMED} malformed requests are each answered with an error of the client's, and the server stays`, async () => {
  const random = new Random(3);
  for (let i = 0; i < MALFORMED; i++) {
    const { what, path, init } = malformedRequest(random);
    const response = await fetch(server.url + path, init as RequestInit);
    const text = await response.text();
    expect({ what, path, body: init.body?.toString().slice(0, 200), status: response.status, text }).toSatisfy(
      ({ status }: { status: number }) => status >= 400 && status < 500,
    );
    expect(JSON.parse(text)).toHaveProperty("error");
  }
  await expectServed();
});

test("sixteen answers to one request warn of nothing", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on("warning", note);
  for (const stream of [false, true]) {
    const response = await post(server, "/v1/completions", { ...SHORT, n: 16, stream });
    expect(response.status).toBe(200);
    await response.text();
  }
  process.off("warning", note);
  expect(warnings).toEqual([]);
});

describe("limits", () => {
  test("a body over the limit is refused, whether it says its length or not", async () => {
    const long = JSON.stringify({ ...SHORT, user: "x".repeat(200_000) });
    expect((await post(server, "/v1/completions", long)).status).toBe(413);
    const stream = new ReadableStream({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("x".repeat(10_000))),
    });
    const chunked = fetch(`${server.url}/v1/completions`, {
      method: "POST",
      body: stream,
      duplex: "half",
    } as RequestInit);
    expect(
      await chunked.then(
        ({ status }) => status,
        () => 413,
      ),
    ).toBe(413); // or the connection is cut while it sends
    await expectServed();
  });

  test("a request over its time is ended", async () => {
    await using own = await startServer({ models: endless, parallel: 1, requestMs: 2000 }); // ample for three tokens
    const halfMillion = { ...LONG, prompt: Array(8).fill("the rain"), n: 16 }; // half a million tokens, on one lane
    const response = await post(own, "/v1/completions", halfMillion);
    expect(response.status).toBe(504);
    const streamed = await post(own, "/v1/completions", { ...halfMillion, stream: true });
    expect(await streamed.text()).toContain('"code":"timeout"');
    await expectServed(own);
  });

  test("requests beyond those that may wait are refused, while answers go on that nobody hears of yet", async () => {
    await using own = await startServer({ models: endless, parallel: 1, waitingMax: 2 });
    const leaving = new AbortController();
    const { signal } = leaving;
    const long = Array.from({ length: 3 }, () => post(own, "/v1/completions", LONG, { signal }));
    while ((await waitingOn(own, "endless")) < 2);
    expect((await post(own, "/v1/embeddings", { input: "the rain" })).status).toBe(503);
    expect((await post(own, "/v1/completions", SHORT)).status).toBe(503);
    leaving.abort();
    await Promise.allSettled(long);
    while ((await waitingOn(own, "endless")) > 0); // until the server has heard that they have gone
    await expectServed(own);
  });
});

describe("keys", () => {
  const keyFile = folder.path("keys.txt");
  let guarded: PareServer;
  beforeAll(async () => {
    writeFileSync(keyFile, "# clients\nalice sk-alice-0001\nbob sk-bob-000002 rpm=2\ncarol sk-carol-0003 parallel=1\n");
    guarded = await startServer({ models: `endless=${endless}`, apiKeyFile: keyFile });
  });
  afterAll(() => guarded.close());
  const as = (key: string): RequestInit => ({ headers: { authorization: `Bearer ${key}` } });

  test("nothing but the page and /health is served without a key, or with a wrong one", async () => {
    const posts = [
      "/v1/chat/completions",
      "/v1/completions",
      "/v1/embeddings",
      "/api/chat",
      "/api/generate",
      "/api/embed",
      "/api/show",
      "/api/embeddings",
    ];
    const gets = [
      "/v1/models",
      "/v1/models/endless",
      "/metrics",
      "/api/tags",
      "/api/ps",
      "/api/version",
      "/nothing",
      "//v1/models",
      "/v1/../metrics",
      "/%6detrics",
    ];
    for (const init of [{}, as("sk-wrong-0001"), as(""), { headers: { authorization: "sk-alice-0001" } }]) {
      for (const path of posts) expect([path, (await post(guarded, path, SHORT, init)).status]).toEqual([path, 401]);
      for (const path of gets) expect([path, (await fetch(guarded.url + path, init)).status]).toEqual([path, 401]);
    }
    expect((await fetch(`${guarded.url}/health`)).status).toBe(200);
    expect((await fetch(guarded.url)).status).toBe(200);
    expect((await post(guarded, "/v1/completions", SHORT, as("sk-alice-0001"))).status).toBe(200);
  });

  test("each key has its own limits", async () => {
    const statuses = async (key: string, count: number): Promise<number[]> =>
      Promise.all(
        Array.from({ length: count }, async () => (await post(guarded, "/v1/completions", SHORT, as(key))).status),
      );
    expect((await statuses("sk-bob-000002", 4)).sort()).toEqual([200, 200, 429, 429]);
    const streaming = await post(guarded, "/v1/completions", { ...LONG, stream: true }, as("sk-carol-0003"));
    expect(await statuses("sk-carol-0003", 2)).toEqual([429, 429]);
    expect(await streaming.text()).toMatch(/"usage"|\[DONE\]/);
    expect(await statuses("sk-carol-0003", 1)).toEqual([200]);
    expect(await statuses("sk-alice-0001", 4)).toEqual([200, 200, 200, 200]);
  });

  test.each([
    ["a file without a key", "# none\n", "there is no key in it"],
    ["a name alone", "alice\n", "line 1 has no key"],
    ["a limit that is none", "alice sk-alice-0001 often\n", 'has "often", which is no limit'],
  ])("%s is refused", async (_what, text, message) => {
    writeFileSync(folder.path("bad.txt"), text);
    await expect(serve({ models: BUNDLED, port: 0, apiKeyFile: folder.path("bad.txt") })).rejects.toThrow(message);
  });
});

describe("browsers", () => {
  test("pages of other sites may not use the server unless they are allowed", async () => {
    const from = (origin: string): RequestInit => ({ headers: { origin } });
    expect((await post(server, "/v1/completions", SHORT, from("https://example.com"))).status).toBe(403);
    expect((await post(server, "/v1/completions", SHORT, from(server.url))).status).toBe(200);
    await using open = await startServer({ models: endless, cors: ["https://example.com"] });
    for (const stream of [false, true]) {
      const { headers } = await post(open, "/v1/completions", { ...SHORT, stream }, from("https://example.com"));
      expect(headers.get("access-control-allow-origin")).toBe("https://example.com");
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    }
    expect((await post(open, "/v1/completions", SHORT, from("https://example.org"))).status).toBe(403);
    const preflight = async (headers: Record<string, string> = {}): Promise<unknown[]> => {
      const init = { method: "OPTIONS", headers: { origin: "https://example.com", ...headers } };
      const response = await fetch(`${open.url}/v1/completions`, init);
      return [response.status, response.headers.get("access-control-allow-headers")];
    };
    expect(await preflight()).toEqual([204, "authorization, content-type, x-pare-task"]);
    const ofClient = "authorization, x-stainless-os";
    expect(await preflight({ "access-control-request-headers": ofClient })).toEqual([204, ofClient]);
  });

  test("the page is one file that may only ask this server", async () => {
    const response = await fetch(server.url);
    const page = await response.text();
    expect(page).not.toMatch(/(src|href)=|@import|url\(/);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  });
});

test("the log has no text of requests unless it was asked for", async () => {
  await post(server, "/v1/completions", { ...SHORT, prompt: "a secret" });
  expect(JSON.stringify(log)).not.toContain("secret");
  expect(log.at(-1)).toMatchObject({ path: "/v1/completions", status: 200, model: "endless", answerTokens: 3 });
  const entries: LogEntry[] = [];
  await using own = await startServer({ models: endless, logPrompts: true, onRequest: (entry) => entries.push(entry) });
  await post(own, "/v1/completions", { ...SHORT, prompt: "a secret" });
  expect(entries[0]!.body).toMatchObject({ prompt: "a secret" });
});

describe("serve() refuses", () => {
  test.each<[string, Parameters<typeof serve>[0], string]>([
    ["no model", { models: [] }, "no model to serve"],
    ["a model that is not there", { models: "/nowhere/m.gguf" }, "/nowhere/m.gguf"],
    ["two models of one name", { models: [endless, `endless=${BUNDLED}`] }, 'Two models are called "endless"'],
    [
      "an address that is not its own",
      { models: endless, host: "192.0.2.1", port: 0, threads: 1 },
      "Cannot listen on 192.0.2.1:0",
    ],
  ])("%s", async (_what, options, message) => {
    await expect(serve(options)).rejects.toThrow(message);
  });
});
