// Calibration side by side with llama-imatrix: same model, text, windows and threads, interleaved, medians of whole
// processes (loading included), and how far the two results are apart.
//   npm run build && node bench/calibrate-speed.mjs --llama-imatrix PATH [--model FILE] [--text FILE] [--context 256] [--threads 2] [--runs 5]
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

import { calibrate } from "../dist/calibrate/calibrate.js";
import { readImportance } from "../dist/calibrate/read-imatrix.js";

const shared = (path) => fileURLToPath(new URL(`../../shared/${path}`, import.meta.url));
const { values: options } = parseArgs({
  options: {
    "llama-imatrix": { type: "string" },
    model: { type: "string", default: shared("models/stories15M-f16.gguf") },
    text: { type: "string", default: shared("data/stories-calibration.txt") },
    context: { type: "string", default: "256" },
    threads: { type: "string", default: "2" },
    runs: { type: "string", default: "5" },
  },
});
if (!options["llama-imatrix"]) throw new Error("Name llama.cpp's tool: --llama-imatrix PATH");

const folder = await mkdtemp(join(tmpdir(), "pare-calibrate-speed-"));
const [theirs, ours] = [join(folder, "llama-imatrix.gguf"), join(folder, "pare.gguf")];
const seconds = { "llama-imatrix": [], pare: [] };
try {
  for (let run = 0; run < Number(options.runs); run++) {
    const tools = [
      ["llama-imatrix", runLlamaImatrix],
      ["pare", runPare],
    ];
    for (const [tool, work] of run % 2 === 0 ? tools : tools.reverse()) seconds[tool].push(await timed(work));
  }
  await report();
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Perplexity, which llama-imatrix prints by default, is off: Pare does not compute it. */
async function runLlamaImatrix() {
  const { model, text, context, threads } = options;
  const input = ["-m", model, "-f", text, "-c", context, "-t", threads];
  await promisify(execFile)(options["llama-imatrix"], [...input, "--no-ppl", "--no-repack", "-o", theirs]);
}

async function runPare() {
  const { model, text, context, threads } = options;
  await calibrate({
    model,
    texts: [{ path: text }],
    contextLength: Number(context),
    threads: Number(threads),
    output: ours,
  });
}

async function timed(work) {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

async function report() {
  const [reference, found] = [await readImportance(theirs), await readImportance(ours)];
  const tokens = found.chunkCount * found.chunkSize;
  const errors = [...reference.entries].flatMap(([name, { sums }]) =>
    Array.from(sums, (sum, i) => Math.abs(found.entries.get(name).sums[i] / sum - 1)),
  );
  console.log(
    `${options.model}, ${tokens} tokens in windows of ${options.context}, ${options.threads} threads, ` +
      `${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}`,
  );
  console.log("tool            median s   fastest s   tokens/s");
  for (const [tool, times] of Object.entries(seconds)) {
    const middle = median(times);
    console.log(
      `${tool.padEnd(16)}${middle.toFixed(2).padStart(8)}${Math.min(...times)
        .toFixed(2)
        .padStart(12)}${(tokens / middle).toFixed(0).padStart(11)}`,
    );
  }
  console.log(
    `ratio of medians ${(median(seconds["llama-imatrix"]) / median(seconds.pare)).toFixed(2)}, ` +
      `of each pair ${seconds.pare.map((time, i) => (seconds["llama-imatrix"][i] / time).toFixed(2)).join(" ")}`,
  );
  console.log(
    `sums apart by ${mean(errors).toExponential(1)} on average, ${errors.reduce((most, error) => Math.max(most, error), 0).toExponential(1)} at most, relative`,
  );
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function mean(values) {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
