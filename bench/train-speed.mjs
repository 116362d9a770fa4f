// Tokens per second of a training step of stories15M's shape, Pare beside PyTorch eager and compiled: one process each, which
// take a step in turn, so that what else the machine does meets all alike. Medians; peak memory of each process.
//
//   npm run build && node bench/train-speed.mjs --python venv/bin/python [--threads 2] [--steps 7] [--sequences 4]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { newShape, initializeParameters } from "../dist/train/new-model.js";
import { TrainingStep } from "../dist/train/training-step.js";
import { loadEngine } from "../dist/native/engine.js";
import { CpuBackend } from "../dist/native/matmul.js";
import { ThreadPool } from "../dist/native/thread-pool.js";

const { values } = parseArgs({
  options: {
    python: { type: "string" },
    threads: { type: "string", default: "2" },
    steps: { type: "string", default: "7" },
    sequences: { type: "string", default: "4" },
    only: { type: "string", default: "" },
    worker: { type: "string" },
  },
});
const threads = Number(values.threads);
const sequences = Number(values.sequences);
const LENGTH = 256;
const VOCABULARY = 32_000;

if (values.worker) await work(values.worker);
else await compare();

/** Takes a step for every line on standard input. */
async function work(kind) {
  const engine = loadEngine();
  const backend = CpuBackend.create(engine, threads, ThreadPool.create(engine, threads));
  const shape = newShape({ architecture: "llama", layers: 6, width: 288, heads: 6, feedForward: 768 }, VOCABULARY);
  const step = new TrainingStep(backend, shape, {
    microBatch: sequences,
    contextLength: LENGTH,
    checkpoint: kind.includes("recompute"),
    products: kind.includes("bf16") ? "bf16" : "f32",
    optimizer: "adamw",
    optimizerSettings: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
    clipNorm: 1,
  }).allocate();
  initializeParameters(step.store, step.parameters, shape.layers, 0);
  const batch = Array.from({ length: sequences }, (_, s) => {
    const tokens = Int32Array.from({ length: LENGTH + 1 }, (__, i) => (i * 7919 + s * 104_729 + 13) % VOCABULARY);
    const rest = { documents: new Int32Array(LENGTH), weights: new Float32Array(LENGTH).fill(1) };
    return { tokens: tokens.subarray(0, LENGTH), targets: tokens.subarray(1), ...rest };
  });
  let number = 0;
  for await (const _line of createInterface(process.stdin)) {
    const started = performance.now();
    const { loss } = step.run(++number, 1e-3, batch);
    console.log(JSON.stringify({ ms: performance.now() - started, loss }));
  }
  console.log(JSON.stringify({ peakBytes: process.resourceUsage().maxRSS * 1024 }));
}

async function compare() {
  const own = fileURLToPath(import.meta.url);
  const pythonScript = fileURLToPath(new URL("train-speed.py", import.meta.url));
  const shared = ["--threads", values.threads, "--sequences", values.sequences];
  const kinds = {
    "Pare, f32": [process.execPath, [own, ...shared, "--worker", "f32"]],
    "Pare, bf16 products": [process.execPath, [own, ...shared, "--worker", "bf16"]],
    "Pare, bf16 products, recompute": [process.execPath, [own, ...shared, "--worker", "bf16 recompute"]],
    ...(values.python && {
      "PyTorch, eager": [values.python, [pythonScript, "eager", values.threads, values.sequences]],
      "PyTorch, compiled": [values.python, [pythonScript, "compiled", values.threads, values.sequences]],
    }),
  };
  const workers = Object.entries(kinds)
    .filter(([name]) => name.includes(values.only))
    .map(([name, [command, args]]) => startWorker(name, command, args));
  for (const worker of workers) worker.first = await worker.step(); // compiles, and touches all memory
  for (let i = 0; i < Number(values.steps); i++) for (const worker of workers) worker.steps.push(await worker.step());
  for (const worker of workers) worker.peakBytes = (await worker.end()).peakBytes;
  print(workers);
}

function startWorker(name, command, args) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout);
  const answer = async () => JSON.parse((await once(lines, "line"))[0]);
  return {
    name,
    steps: [],
    async step() {
      const answered = answer();
      child.stdin.write("step\n");
      return answered;
    },
    async end() {
      const answered = answer();
      child.stdin.end();
      return answered;
    },
  };
}

function print(workers) {
  const tokens = sequences * LENGTH;
  const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
  const speed = (worker) => (tokens * 1000) / median(worker.steps.map(({ ms }) => ms));
  const eager = workers.find(({ name }) => name === "PyTorch, eager");
  console.log(`${tokens} tokens a step, ${threads} threads, medians of ${values.steps} steps, interleaved`);
  console.log("| | tokens/s | of eager | loss after the last step | peak memory |\n| --- | --- | --- | --- | --- |");
  for (const worker of workers) {
    const share = eager ? (speed(worker) / speed(eager)).toFixed(2) : "";
    const loss = worker.steps.at(-1).loss.toFixed(4);
    console.log(`| ${worker.name} | ${speed(worker).toFixed(0)} | ${share} | ${loss} | ${(worker.peakBytes / 1e6).toFixed(0)} MB |`);
  }
}
