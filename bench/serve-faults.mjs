// `pare serve` under all that goes wrong around it: an engine that is killed under load, requests that are none, clients that vanish
// or do not read, wrong keys, bodies that are too long, and answers held to random JSON Schemas. Prints what docs/reliability.md states.
//
//   npm run build && node bench/serve-faults.mjs [--kills 20] [--malformed 10000] [--vanishing 300] [--schemas 500] [--slow 100]
//     [--long 200] [--keyless 2000] [--threads 1] [--seed 1]
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Ajv2020 } from "ajv/dist/2020.js";

import { serve } from "../dist/serve/serve.js";
import { Random } from "../dist/support/random.js";
import { malformedRequest } from "./malformed-requests.mjs";
import { randomSchema } from "./random-schema.mjs";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    malformed: { type: "string", default: "10000" },
    vanishing: { type: "string", default: "300" },
    schemas: { type: "string", default: "500" },
    slow: { type: "string", default: "100" },
    long: { type: "string", default: "200" },
    keyless: { type: "string", default: "2000" },
    threads: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
  },
});
const random = new Random(Number(values.seed));
const model = fileURLToPath(new URL("../models/home-commands-f16.gguf", import.meta.url));
let deaths = 0;
const server = await serve({
  models: `endless=${model}`,
  port: 0,
  threads: Number(values.threads),
  onEngineDeath: () => deaths++,
});
const { port } = new URL(server.url);

/** Goes on to its limit: the token that ends answers is forbidden. */
const LONG = { prompt: "a", max_tokens: 200, logit_bias: { 0: -100 }, temperature: 1 };
const send = (path, body, init = {}) =>
  fetch(server.url + path, { method: "POST", body: JSON.stringify(body), ...init });
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const processId = () => server.models[0].loaded?.processId;

function count(counts, what) {
  counts[what] = (counts[what] ?? 0) + 1;
}

function memoryMegabytes() {
  const resident = (id) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) / 1000;
  globalThis.gc?.();
  return `server ${resident(process.pid).toFixed(0)} MB, engine ${resident(processId()).toFixed(0)} MB`;
}

async function requireIdle() {
  for (let i = 0; i < 600; i++) {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    if (/pare_running_requests\{[^}]*\} 0\n/.test(metrics) && /pare_waiting_requests\{[^}]*\} 0\n/.test(metrics))
      return;
    await (await send("/v1/completions", { ...LONG, max_tokens: 1 })).text();
    await pause(50);
  }
  throw new Error("Requests are left in the engine");
}

async function killUnderLoad() {
  const outcomes = { complete: 0, "told that the engine died": 0, other: 0 };
  const over = new AbortController();
  const client = async (number) => {
    while (!over.signal.aborted) {
      const response = await send("/v1/completions", { ...LONG, stream: number % 2 === 0 });
      const text = await response.text();
      if (text.includes("engine_unavailable")) outcomes["told that the engine died"]++;
      else if (response.ok && /"finish_reason":"length"/.test(text)) outcomes.complete++;
      else outcomes.other++;
    }
  };
  const clients = Array.from({ length: 8 }, (_, number) => client(number));
  let slowestMs = 0;
  for (let i = 0; i < Number(values.kills); i++) {
    await pause(300 + random.next() * 500);
    process.kill(processId(), "SIGKILL");
    const killedAt = performance.now();
    while (!(await send("/v1/completions", { ...LONG, max_tokens: 1 })).ok) await pause(20);
    slowestMs = Math.max(slowestMs, performance.now() - killedAt);
  }
  over.abort();
  await Promise.all(clients);
  console.log(
    `killed ${values.kills} times under 8 clients: ${deaths} deaths seen; requests ${JSON.stringify(outcomes)}; served again after ${slowestMs.toFixed(0)} ms at most`,
  );
}

async function sendMalformed() {
  const statuses = {};
  const pathStatuses = {};
  let slowestMs = 0;
  for (let i = 0; i < Number(values.malformed); i++) {
    const { what, path, init } = malformedRequest(random);
    const startedAt = performance.now();
    const response = await fetch(server.url + path, init);
    await response.text();
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    if (response.status < 400 || response.status >= 500)
      console.log(`${response.status} for ${what} at ${path}: ${String(init.body).slice(0, 200)}`);
    count(statuses, response.status);
    if (what === "a path") count(pathStatuses, response.status);
  }
  console.log(`of these, paths that lead nowhere or elsewhere: by status ${JSON.stringify(pathStatuses)}`);
  console.log(
    `${values.malformed} malformed requests: by status ${JSON.stringify(statuses)}, the slowest ${slowestMs.toFixed(0)} ms`,
  );
}

async function vanish() {
  const one = async (i) => {
    const body = JSON.stringify({ ...LONG, stream: i % 2 === 0 });
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("error", () => undefined);
    if (i % 3 === 0) socket.pause(); // a reader that does not read
    const length = i % 5 === 0 ? body.length + 100 : body.length; // a body that never comes wholly
    socket.write(`POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${length}\r\n\r\n${body}`);
    await pause(random.next() * 400);
    socket.destroy();
  };
  for (let i = 0; i < Number(values.vanishing); i += 20)
    await Promise.all(Array.from({ length: 20 }, (_, j) => one(i + j)));
  await requireIdle();
  console.log(`${values.vanishing} clients that vanished, a third of them without reading: nothing left in the engine`);
}

/** Bodies of 17 MB and more, with their length stated or in chunks; a connection may be cut while it still sends. */
async function sendLong() {
  const outcomes = {};
  const chunk = new TextEncoder().encode("x".repeat(1_000_000));
  for (let i = 0; i < Number(values.long); i++) {
    let left = 17 + Math.floor(random.next() * 8);
    const whole = "x".repeat(left * 1_000_000);
    const pull = (controller) => (left-- > 0 ? controller.enqueue(chunk) : controller.close());
    const init = i % 2 === 0 ? { body: whole } : { body: new ReadableStream({ pull }), duplex: "half" };
    const sent = fetch(`${server.url}/v1/completions`, { method: "POST", ...init });
    count(outcomes, await sent.then(async (one) => (await one.text(), one.status)).catch(() => "cut"));
  }
  console.log(`${values.long} bodies over the limit: ${JSON.stringify(outcomes)}`);
}

/** Clients that take up a few bytes now and then, while another asks for short answers one after the other. */
async function readSlowly() {
  const outcomes = { whole: 0, ended: 0 };
  const slow = async () => {
    const body = JSON.stringify({ ...LONG, stream: true });
    const socket = connect({ port: Number(port), host: "127.0.0.1", readableHighWaterMark: 256 });
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    let text = "";
    for await (const piece of socket) {
      text += piece;
      await pause(20);
    }
    outcomes[text.includes("data: [DONE]") ? "whole" : "ended"]++;
  };
  const reading = new AbortController();
  const readers = Promise.all(Array.from({ length: Number(values.slow) }, slow)).finally(() => reading.abort());
  const fastMs = [];
  while (!reading.signal.aborted) {
    const startedAt = performance.now();
    await (await send("/v1/completions", { ...LONG, max_tokens: 8 })).text();
    fastMs.push(performance.now() - startedAt);
  }
  await readers;
  await requireIdle();
  console.log(
    `${values.slow} slow readers: ${JSON.stringify(outcomes)}; beside them ${fastMs.length} short answers, the slowest after ${Math.max(...fastMs).toFixed(0)} ms`,
  );
}

/** A server of its own, as the other has no keys. */
async function askWithoutKey() {
  const folder = mkdtempSync(join(tmpdir(), "pare-keys-"));
  const apiKeyFile = join(folder, "keys.txt");
  writeFileSync(apiKeyFile, "alice sk-alice-0001\n");
  const guarded = await serve({ models: `endless=${model}`, port: 0, threads: Number(values.threads), apiKeyFile });
  const paths = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/api/chat",
    "/api/generate",
    "/api/embed",
  ];
  const others = ["/metrics", "/v1/models", "/api/tags", "//v1/models", "/v1/../metrics", "/%6detrics", "/V1/models"];
  const keys = [
    undefined,
    "",
    "Bearer",
    "Bearer sk-alice-000",
    "Bearer sk-alice-00011",
    "sk-alice-0001",
    "Basic sk-alice-0001",
  ];
  const pick = (list) => list[Math.floor(random.next() * list.length)];
  const statuses = {};
  for (let i = 0; i < Number(values.keyless); i++) {
    const key = pick(keys);
    const headers = key === undefined ? {} : { authorization: key };
    const body = JSON.stringify({ ...LONG, max_tokens: 1 });
    const init = i % 2 === 0 ? { method: "POST", body, headers } : { headers };
    const response = await fetch(guarded.url + pick(i % 2 === 0 ? paths : others), init);
    await response.text();
    count(statuses, response.status);
  }
  await guarded.close();
  rmSync(folder, { recursive: true });
  console.log(`${values.keyless} requests without a key or with a wrong one: ${JSON.stringify(statuses)}`);
}

async function answerSchemas() {
  const formats = Object.fromEntries(
    ["date", "time", "date-time", "uuid", "ipv4", "email"].map((name) => [name, true]),
  );
  const ajv = new Ajv2020({ strict: false, logger: false, formats });
  const outcomes = { valid: 0, "cut off by its length": 0, invalid: 0 };
  const ask = async (seed) => {
    const schema = randomSchema(random);
    const response_format = { type: "json_schema", json_schema: { schema } };
    const body = {
      messages: [{ role: "user", content: "a" }],
      response_format,
      temperature: 1.5,
      top_k: 0,
      top_p: 1,
      min_p: 0,
      seed,
    };
    const { choices } = await (await send("/v1/chat/completions", body)).json();
    if (choices[0].finish_reason === "length") return outcomes["cut off by its length"]++;
    return outcomes[ajv.validate(schema, JSON.parse(choices[0].message.content)) ? "valid" : "invalid"]++;
  };
  for (let i = 0; i < Number(values.schemas); i += 10)
    await Promise.all(Array.from({ length: 10 }, (_, j) => ask(i + j)));
  console.log(`answers to ${values.schemas} random JSON Schemas: ${JSON.stringify(outcomes)}`);
}

async function stopUnderLoad() {
  const clients = Array.from({ length: 16 }, (_, i) => send("/v1/completions", { ...LONG, stream: i % 2 === 0 }));
  const answers = clients.map((one) => one.then((response) => response.text()).catch(() => undefined));
  await pause(500);
  const startedAt = performance.now();
  await server.close();
  console.log(`stopped under 16 clients after ${(performance.now() - startedAt).toFixed(0)} ms`);
  await Promise.all(answers);
}

await (await send("/v1/completions", LONG)).text();
console.log(`at the start: ${memoryMegabytes()}`);
await sendMalformed();
console.log(`after malformed requests: ${memoryMegabytes()}`);
await vanish();
console.log(`after vanishing clients: ${memoryMegabytes()}`);
await vanish();
console.log(`after as many again: ${memoryMegabytes()}`);
await sendLong();
console.log(`after long bodies: ${memoryMegabytes()}`);
await readSlowly();
console.log(`after slow readers: ${memoryMegabytes()}`);
await askWithoutKey();
console.log(`after wrong keys: ${memoryMegabytes()}`);
await answerSchemas();
console.log(`after schemas: ${memoryMegabytes()}`);
await killUnderLoad();
console.log(`after kills: ${memoryMegabytes()}`);
await stopUnderLoad();
