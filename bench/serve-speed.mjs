// Throughput and time to the first token of `pare serve` against llama.cpp's own llama-server: same file, threads, context and
// answers at once, the same requests, in turn. A client sends its next request when the answer to the one before has ended.
//
//   npm run build && node bench/serve-speed.mjs --llama-server PATH [--rounds 3] [--threads 2] [--clients 1,4,16] [--tokens 64] [--fast] MODEL
//
// Both answer greedily through the model's chat template, streamed. Tokens are those that each server counts itself. The ratio is the
// mean over rounds of the sides' ratio in a round (geometric), with its standard error; the times are those of all requests of all rounds.
// On Linux it also gives the processor time of each side's processes per token of answer, which other work on the machine hardly changes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { physicalCores } from "../dist/native/cores.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "llama-server": { type: "string" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: String(physicalCores()) },
    clients: { type: "string", default: "1,4,16" },
    tokens: { type: "string", default: "64" },
    context: { type: "string", default: "1024" },
    fast: { type: "boolean", default: false },
  },
});
const [model] = positionals;
if (!values["llama-server"] || !model) throw new Error("Name llama.cpp's tool and a model: --llama-server PATH MODEL");

const PARALLEL = 16;
const REQUESTS_PER_CLIENT = { 1: 6, 4: 4, 16: 3 };
const SUBJECTS = [
  "a lighthouse",
  "the tide",
  "an old clock",
  "two foxes",
  "a paper boat",
  "the first snow",
  "a lost key",
  "a busy kitchen",
];
const MANNERS = [
  "in plain words",
  "for a child",
  "as a letter to a friend",
  "with an example from daily life",
  "as a short story",
];

/** Requests of like length, none with the words of another behind its beginning. */
function prompt(number) {
  const subject = SUBJECTS[number % SUBJECTS.length];
  const manner = MANNERS[number % MANNERS.length];
  const detail = Array.from({ length: 12 }, (_, i) => SUBJECTS[(number * 7 + i * 3) % SUBJECTS.length]).join(", then ");
  return `Number ${number}: write about ${subject} ${manner}. Mention ${detail}, and say at the end what they have in common.`;
}

const context = Number(values.context);
const pareArguments =
  `--port 18081 --threads ${values.threads} --quiet --parallel ${PARALLEL} --context ${context}`.split(" ");
const llamaArguments =
  `--port 18082 -t ${values.threads} -tb ${values.threads} -np ${PARALLEL} -c ${PARALLEL * context}`.split(" ");
if (values.fast) pareArguments.push("--fast");
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const servers = {
  pare: await start(process.execPath, [main, "serve", model, ...pareArguments], 18081),
  "llama-server": await start(values["llama-server"], ["-m", model, ...llamaArguments], 18082),
};

async function start(command, args, port) {
  const child = spawn(command, args, { stdio: "ignore" });
  const ended = once(child, "exit").then(() => {
    throw new Error(`${command} ended`);
  });
  ended.catch(() => undefined);
  for (;;) {
    const isReady = await Promise.race([
      ended,
      fetch(`http://127.0.0.1:${port}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    ]);
    if (isReady) return { child, url: `http://127.0.0.1:${port}/v1/chat/completions` };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** One request. @returns tokens of the answer and milliseconds to its first text */
async function ask(url, number) {
  const body = JSON.stringify({
    model: model
      .split("/")
      .at(-1)
      .replace(/\.gguf$/, ""),
    messages: [{ role: "user", content: prompt(number) }],
    temperature: 0,
    max_tokens: Number(values.tokens),
    stream: true,
    stream_options: { include_usage: true },
  });
  const startedAt = performance.now();
  const sent = request(url, { method: "POST", agent: false, headers: { "content-type": "application/json" } });
  sent.end(body);
  const [response] = await once(sent, "response");
  let firstMs;
  let text = "";
  for await (const piece of response.setEncoding("utf8")) {
    text += piece;
    if (firstMs === undefined && /"content":"[^"]/.test(text)) firstMs = performance.now() - startedAt;
  }
  if (response.statusCode !== 200) throw new Error(text);
  return { tokens: Number(/"completion_tokens":(\d+)/.exec(text)[1]), firstMs };
}

/** Processor time of a process and its children. */
function cpuSeconds({ child }) {
  const stat = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  if (process.platform !== "linux") return NaN;
  const isOwn = (pid) => {
    try {
      return Number(pid) === child.pid || Number(stat(pid)[1]) === child.pid;
    } catch {
      return false; // it has ended
    }
  };
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isOwn(name));
  return pids.reduce((sum, pid) => sum + Number(stat(pid)[11]) + Number(stat(pid)[12]), 0) / 100;
}

let asked = 0;

/** Some clients at once. @returns tokens per second of all, and times to the first text */
async function load(server, clients, firstNumber) {
  const perClient = REQUESTS_PER_CLIENT[clients] ?? 3;
  const cpuBefore = cpuSeconds(server);
  const startedAt = performance.now();
  const answers = await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const own = [];
      for (let i = 0; i < perClient; i++) own.push(await ask(server.url, firstNumber + client * perClient + i));
      return own;
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const all = answers.flat();
  const tokens = all.reduce((sum, answer) => sum + answer.tokens, 0);
  const cpuMs = ((cpuSeconds(server) - cpuBefore) / tokens) * 1000;
  return { rate: tokens / seconds, cpuMs, firstMs: all.map(({ firstMs }) => firstMs) };
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const p95 = (list) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.ceil(list.length * 0.95) - 1)];

console.log(
  `threads ${values.threads}, ${values.tokens} tokens per answer, ${PARALLEL} answers at once, ${values.context} tokens each, rounds ${values.rounds}`,
);
console.log(
  "| clients | Pare tokens/s | llama-server tokens/s | ratio | Pare p95 to first token, ms | llama-server | ratio | Pare CPU ms per token | llama-server |",
);
console.log("|---|---|---|---|---|---|---|---|---|---|");
for (const name of Object.keys(servers)) await load(servers[name], 1, 1e6); // warm
for (const clients of values.clients.split(",").map(Number)) {
  const seen = { pare: [], "llama-server": [] };
  for (let round = 0; round < Number(values.rounds); round++) {
    const order = round % 2 === 0 ? ["pare", "llama-server"] : ["llama-server", "pare"];
    for (const name of order) seen[name].push(await load(servers[name], clients, asked));
    asked += 1000;
  }
  const logs = seen.pare.map(({ rate }, i) => Math.log(rate / seen["llama-server"][i].rate));
  const mean = logs.reduce((a, b) => a + b, 0) / logs.length;
  const error = Math.sqrt(
    logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, logs.length - 1) / logs.length,
  );
  const [own, other] = ["pare", "llama-server"].map((name) => ({
    rate: median(seen[name].map(({ rate }) => rate)),
    cpu: median(seen[name].map(({ cpuMs }) => cpuMs)),
    first: p95(seen[name].flatMap(({ firstMs }) => firstMs)),
  }));
  const ratio = `${Math.exp(mean).toFixed(2)} ± ${(Math.exp(mean) * error).toFixed(2)}`;
  console.log(
    `| ${clients} | ${own.rate.toFixed(1)} | ${other.rate.toFixed(1)} | ${ratio} | ${own.first.toFixed(0)} | ${other.first.toFixed(0)} | ${(own.first / other.first).toFixed(2)} | ${own.cpu.toFixed(1)} | ${other.cpu.toFixed(1)} |`,
  );
}
for (const { child } of Object.values(servers)) child.kill("SIGTERM");
