// What a cascade saves at the server: processor time of `pare serve` with the cascade against its large model alone, on cases of a
// task whose answers are written out. Both servers run side by side and are asked the same, one case after the other, in turn.
//
//   npm run build && node bench/cascade-saving.mjs [--cases 200] [--seed 1] [--threads 1] lean/cascade.json test.jsonl
//
// Processor time is Linux's, of all processes of a server, in hundredths of a second; other work on the machine hardly changes it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { readCascade } from "../dist/fit/cascade/cascade-file.js";
import { Random } from "../dist/support/random.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    threads: { type: "string", default: "1" },
  },
});
const [cascadePath, taskPath] = positionals;
if (!cascadePath || !taskPath) throw new Error("Name a cascade and its task: lean/cascade.json test.jsonl");

const cascade = await readCascade(cascadePath);
const all = readFileSync(taskPath, "utf8").trim().split("\n").map(JSON.parse);
const cases = new Random(Number(values.seed)).shuffled(all).slice(0, Number(values.cases));
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const sides = [
  { name: "large alone", ...(await start([cascade.large])) },
  { name: "cascade", ...(await start(["--cascade", cascadePath])) },
];
for (const side of sides) Object.assign(side, { right: 0, answeredBySmall: 0, seconds: 0 });
for (const [i, one] of cases.entries()) {
  for (const side of i % 2 ? sides : sides.toReversed()) await ask(side, one);
}
console.table(
  sides.map(({ name, right, answeredBySmall, seconds }) => ({
    server: name,
    right: `${((100 * right) / cases.length).toFixed(1)} %`,
    "small answers": `${((100 * answeredBySmall) / cases.length).toFixed(1)} %`,
    "CPU seconds": seconds.toFixed(2),
    "to large alone": (seconds / sides[0].seconds).toFixed(2),
  })),
);
process.exit();

/** A server, with its log as it comes. */
async function start(what) {
  const child = spawn(process.execPath, [main, "serve", ...what, "--port", "0", "--threads", values.threads], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  process.on("exit", () => child.kill());
  const log = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  const ended = once(child, "exit").then(async () => {
    throw new Error((await log.next()).value);
  });
  const [url] = await Promise.race([once(createInterface({ input: child.stdout }), "line"), ended]);
  return { child, url, log, model: what.length > 1 ? cascade.name : undefined };
}

/** One case; its log entry says whose answer was taken. */
async function ask(side, { prompt, expect, maxTokens, stop }) {
  const before = cpuSeconds(side.child.pid);
  const response = await fetch(`${side.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: side.model, prompt, max_tokens: maxTokens, stop, temperature: 0 }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  const { value: line } = await side.log.next();
  side.seconds += cpuSeconds(side.child.pid) - before;
  side.answeredBySmall += JSON.parse(line).answeredBy?.[0] === basename(cascade.small, ".gguf");
  side.right += JSON.parse(text).choices[0].text.trim() === expect;
}

/** Of a process and its children. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  return children.reduce((sum, child) => sum + cpuSeconds(child), (Number(fields[11]) + Number(fields[12])) / 100);
}
