// Loss by loss, does training follow PyTorch's? Twenty steps of a model of stories15M's shape: weights by chance, which both
// sides start from, the same batches of real text, AdamW, a warm-up and a cosine. Prints both curves, and how far apart they are.
//
//   npm run build && node bench/train-curve.mjs --python venv/bin/python [--threads 1] [--steps 20]
//     [--model ../shared/models/stories15M-f16.gguf] [--text ../shared/data/stories-heldout.txt] [--go-on]
//
// Of the model the tokenizer is taken; with --go-on the weights, too, in place of those by chance.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { readParameters } from "../dist/graph/parameters.js";
import { openModel } from "../dist/model/open.js";
import { loadEngine } from "../dist/native/engine.js";
import { CpuBackend } from "../dist/native/matmul.js";
import { ThreadPool } from "../dist/native/thread-pool.js";
import { initializeParameters, newShape } from "../dist/train/new-model.js";
import { learningRate } from "../dist/train/schedule.js";
import { prepareData, stepSettings } from "../dist/train/train.job.js";
import { TrainingStep } from "../dist/train/training-step.js";

const { values: options } = parseArgs({
  options: {
    python: { type: "string" },
    threads: { type: "string", default: "1" },
    steps: { type: "string", default: "20" },
    model: { type: "string", default: "../shared/models/stories15M-f16.gguf" },
    text: { type: "string", default: "../shared/data/stories-heldout.txt" },
    "go-on": { type: "boolean", default: false },
  },
});
if (!options.python) throw new Error("Give --python, see the head of this script");
const threads = Number(options.threads);
const shape = newShape({ architecture: "llama", layers: 6, width: 288, heads: 6, feedForward: 768 }, 32_000);

const engine = loadEngine();
const source = await openModel(options.model);
const request = {
  texts: [options.text],
  contextLength: 64,
  batch: 4,
  steps: Number(options.steps),
  validationShare: 0,
};
const rate = options["go-on"] ? 1e-4 : 1e-3;
const { data, settings } = await prepareData(engine, { ...request, model: options.model, rate, threads }, source);
const backend = CpuBackend.create(engine, threads, ThreadPool.create(engine, threads));
const step = new TrainingStep(backend, shape, stepSettings(settings)).allocate();
if (options["go-on"]) await readParameters(step.store, step.parameters, source);
else initializeParameters(step.store, step.parameters, shape.layers, 0);

const batches = Array.from({ length: settings.steps }, (_, i) => ({
  rate: learningRate(i + 1, settings.schedule),
  sequences: data.at(i + 1),
}));
const folder = mkdtempSync(join(tmpdir(), "pare-curve-"));
try {
  writePlan();
  const own = batches.map((batch, i) => step.run(i + 1, batch.rate, batch.sequences).loss);
  const script = fileURLToPath(new URL("train-curve.py", import.meta.url));
  const theirs = execFileSync(options.python, [script, folder, options.threads], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map(Number);
  const apart = own.map((loss, i) => Math.abs(loss - theirs[i]) / theirs[i]);
  console.log("| step | Pare | PyTorch | apart |\n| --- | --- | --- | --- |");
  for (const [i, loss] of own.entries())
    console.log(`| ${i + 1} | ${loss.toFixed(5)} | ${theirs[i].toFixed(5)} | ${apart[i].toExponential(1)} |`);
  console.log(`Largest difference: ${Math.max(...apart).toExponential(1)}`);
} finally {
  rmSync(folder, { recursive: true });
}

/** Weights and batches as PyTorch's side reads them. */
function writePlan() {
  const parameters = [...step.parameters];
  writeFileSync(
    join(folder, "weights.f32"),
    Buffer.concat(parameters.map(([, tensor]) => bytes(step.store.read(tensor)))),
  );
  const steps = batches.map(({ rate: of, sequences }) => ({
    rate: of,
    tokens: sequences.map(({ tokens }) => [...tokens]),
    targets: sequences.map(({ targets }) => [...targets]),
  }));
  const isWhole = batches.every(({ sequences }) =>
    sequences.every(
      ({ weights, documents }) => weights.every((one) => one === 1) && documents.every((one) => one === 0),
    ),
  );
  if (!isWhole) throw new Error("Every target of every sequence must count: give a longer text");
  const names = parameters.map(([name]) => name);
  writeFileSync(join(folder, "plan.json"), JSON.stringify({ length: settings.contextLength, names, steps }));
}

function bytes(values) {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
