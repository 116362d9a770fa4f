// Tokens per second of a training step of stories15M's shape, Pare beside PyTorch eager and compiled: one process each, which
// take a step in turn, so that what else the machine does meets all alike. Medians; peak memory of each process.
//
//   npm run build && node bench/train-speed.mjs --python venv/bin/python [--threads 2] [--steps 7] [--sequences 4]
//   node bench/train-speed.mjs --profile [--threads 1]     # where the time goes, operation by operation
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { backpropagate } from "../dist/graph/backpropagate.js";
import { crossEntropy } from "../dist/graph/cross-entropy.js";
import { Graph } from "../dist/graph/graph.js";
import { llamaLogits, llamaTensors } from "../dist/graph/llama.js";
import { Operations } from "../dist/graph/operations.js";
import { declareParameters } from "../dist/graph/parameters.js";
import { TensorStore } from "../dist/graph/store.js";
import { declareBatch, fillBatch } from "../dist/graph/token-batch.js";
import { Workspace } from "../dist/graph/workspace.js";
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
    profile: { type: "boolean", default: false },
  },
});
const threads = Number(values.threads);
const sequences = Number(values.sequences);
const LENGTH = 256;
const VOCABULARY = 32_000;

if (values.worker) await work(values.worker);
else if (values.profile) for (const products of ["f32", "bf16"]) profile(products);
else await compare();

/** Takes a step for every line on standard input. */
async function work(kind) {
  const engine = loadEngine();
  const backend = CpuBackend.create(engine, threads, ThreadPool.create(engine, threads));
  const shape = storiesShape();
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
  const batch = tokenBatch();
  let number = 0;
  for await (const _line of createInterface(process.stdin)) {
    const started = performance.now();
    const { loss } = step.run(++number, 1e-3, batch);
    console.log(JSON.stringify({ ms: performance.now() - started, loss }));
  }
  console.log(JSON.stringify({ peakBytes: process.resourceUsage().maxRSS * 1024 }));
}

function storiesShape() {
  return newShape({ architecture: "llama", layers: 6, width: 288, heads: 6, feedForward: 768 }, VOCABULARY);
}

function tokenBatch() {
  return Array.from({ length: sequences }, (_, s) => {
    const tokens = Int32Array.from({ length: LENGTH + 1 }, (__, i) => (i * 7919 + s * 104_729 + 13) % VOCABULARY);
    const rest = { documents: new Int32Array(LENGTH), weights: new Float32Array(LENGTH).fill(1) };
    return { tokens: tokens.subarray(0, LENGTH), targets: tokens.subarray(1), ...rest };
  });
}

/** Computes loss and gradients node by node, and adds up the time of each operation. */
function profile(products) {
  const engine = loadEngine();
  const backend = CpuBackend.create(engine, threads, ThreadPool.create(engine, threads));
  const shape = storiesShape();
  const store = TensorStore.create(backend);
  const graph = Graph.create(backend, { products });
  const f = new Operations(graph);
  const parameters = declareParameters(store, llamaTensors(shape));
  const inputs = declareBatch(store, { sequences, length: LENGTH, ...shape });
  const loss = graph.keep(crossEntropy(f, llamaLogits(f, shape, parameters, inputs), inputs.targets));
  backpropagate(f, loss, inputs.seed);
  store.allocate();
  Workspace.place(backend, [graph]);
  initializeParameters(store, parameters, shape.layers, 0);
  fillBatch(store, inputs, tokenBatch(), sequences * LENGTH);
  graph.compute();
  const { ggml } = engine;
  const context = ggml.ggml_init({ mem_size: ggml.ggml_graph_overhead(), mem_buffer: null, no_alloc: true });
  const single = ggml.ggml_new_graph(context);
  const times = new Map();
  for (const { pointer, operation } of graph.nodes) {
    ggml.ggml_graph_clear(single);
    ggml.ggml_graph_add_node(single, pointer);
    const started = performance.now();
    ggml.ggml_backend_graph_compute(backend.pointer, single);
    const name = ["mulMat", "product"].includes(operation.name) ? "products" : operation.name;
    times.set(name, (times.get(name) ?? 0) + performance.now() - started);
  }
  const total = [...times.values()].reduce((sum, ms) => sum + ms, 0);
  console.log(`${products}: ${total.toFixed(0)} ms, ${threads} threads`);
  for (const [name, ms] of [...times].sort((a, b) => b[1] - a[1]).slice(0, 8))
    console.log(`  ${name.padEnd(16)} ${((100 * ms) / total).toFixed(1).padStart(5)} %`);
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
  const [full, half] = ["Pare, f32", "Pare, bf16 products"].map((name) =>
    workers.find((worker) => worker.name === name),
  );
  const eager = workers.find(({ name }) => name === "PyTorch, eager");
  console.log(`${tokens} tokens a step, ${threads} threads, medians of ${values.steps} steps, interleaved`);
  console.log("| | tokens/s | of eager | peak memory |\n| --- | --- | --- | --- |");
  for (const worker of workers) {
    const share = eager ? (speed(worker) / speed(eager)).toFixed(2) : "";
    console.log(
      `| ${worker.name} | ${speed(worker).toFixed(0)} | ${share} | ${(worker.peakBytes / 1e6).toFixed(0)} MB |`,
    );
  }
  if (full && half) {
    const apart = full.steps.map(({ loss }, i) => Math.abs(half.steps[i].loss - loss) / loss);
    console.log(`Losses with bf16 products are within ${Math.max(...apart).toExponential(1)} of those in f32`);
  }
}
