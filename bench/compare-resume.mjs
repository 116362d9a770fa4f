// A comparison of a real server with the file it serves; the server is killed in the middle and started again. Shows that what was answered
// is kept and only the rest is asked.
//
//   npm run build && node bench/compare-resume.mjs --server LLAMA_SERVER --model ../shared/models/minimind2-small-f16.gguf
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { compare } from "../dist/index.js";

const { values } = parseArgs({
  options: {
    server: { type: "string" },
    model: { type: "string" },
    suite: { type: "string", default: "classification" },
    cases: { type: "string", default: "60" },
    port: { type: "string", default: "18931" },
  },
});
const { server, model, suite, port } = values;
if (!server || !model) throw new Error("--server and --model are needed");
const cases = Number(values.cases);
const out = mkdtempSync(join(tmpdir(), "pare-compare-resume-"));
const asked = [];

const proxy = createServer((incoming, outgoing) => void pass(incoming, outgoing)).listen(0, "127.0.0.1");
await new Promise((resolve) => proxy.once("listening", resolve));
const request = {
  contenders: [`file=${model}`, `server=http://127.0.0.1:${proxy.address().port}/v1`],
  task: `suite:${suite}`,
  cases,
  maxTokens: 16,
  parallel: 1,
  threads: 1,
  waitMs: 50,
  out,
};

try {
  let running = await startServer();
  const killing = setInterval(() => asked.length > cases / 2 && running.kill("SIGKILL"), 5);
  const failure = await compare(request).catch((error) => error);
  clearInterval(killing);
  console.log(`killed:    ${failure.message}`);
  const kept = answersByContender()[1]?.size ?? 0;
  const before = asked.length;
  running = await startServer();
  const { contenders } = await compare(request);
  running.kill("SIGKILL");
  console.log(`kept:      ${kept} answers in the journal`);
  console.log(`resumed:   ${asked.length - before} questions asked, of ${cases}`);
  for (const one of contenders)
    console.log(`${one.name.padEnd(10)} score ${one.score.mean.toFixed(4)}, ${one.cases} cases, ${one.spec}`);
} finally {
  proxy.close();
  rmSync(out, { recursive: true });
}

/** Counts the questions that reach the server. */
function pass(incoming, outgoing) {
  const chunks = [];
  incoming.on("data", (chunk) => chunks.push(chunk));
  incoming.on("end", () => {
    const body = Buffer.concat(chunks);
    if (body.includes('"stream":true')) asked.push(body);
    const { url: path, method, headers } = incoming;
    const onward = ask({ host: "127.0.0.1", port, path, method, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.on("aborted", () => outgoing.destroy()).pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    onward.end(body);
  });
}

async function startServer() {
  const words = [
    "-m",
    model,
    "--port",
    port,
    "-t",
    "1",
    "-c",
    "4096",
    "-np",
    "1",
    "--jinja",
    "--no-repack",
    "-fa",
    "off",
  ];
  const child = spawn(server, words, { stdio: "ignore" });
  for (;;) {
    const isUp = await fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return child;
    if (child.exitCode !== null) throw new Error(`The server ended with exit code ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function entries() {
  return readFileSync(join(out, "journal.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function answersByContender() {
  const byKey = new Map();
  for (const { key, value } of entries()) {
    const [contender] = key.split(" ");
    if (value?.answer === undefined) continue;
    byKey.set(contender, (byKey.get(contender) ?? new Map()).set(value.id, value.answer.trim()));
  }
  return [...byKey.values()];
}
