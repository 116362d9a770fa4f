// `pare serve` under all that goes wrong around it: an engine that is killed under load, requests that are none, clients that vanish
// or do not read, and answers held to random JSON Schemas. Prints what docs/reliability.md states.
//
//   npm run build && node bench/serve-faults.mjs [--kills 20] [--malformed 10000] [--vanishing 300] [--schemas 500] [--threads 1] [--seed 1]
import { readFileSync } from "node:fs";
import { connect } from "node:net";
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
  let slowestMs = 0;
  for (let i = 0; i < Number(values.malformed); i++) {
    const { what, path, init } = malformedRequest(random);
    const startedAt = performance.now();
    const response = await fetch(server.url + path, init);
    await response.text();
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    if (response.status < 400 || response.status >= 500)
      console.log(`${response.status} for ${what} at ${path}: ${String(init.body).slice(0, 200)}`);
    statuses[response.status] = (statuses[response.status] ?? 0) + 1;
  }
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
await answerSchemas();
console.log(`after schemas: ${memoryMegabytes()}`);
await killUnderLoad();
console.log(`after kills: ${memoryMegabytes()}`);
await stopUnderLoad();
