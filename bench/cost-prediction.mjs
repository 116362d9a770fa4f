// How well costs are predicted: decode speed, each file from the others alone; the engine's buffers; resident memory.
//
//   npm run build && node bench/cost-prediction.mjs [--rounds 12] [--copies 3] [--context 512] MODEL…
//
// Decode is timed with one thread in processor time, which other work on the machine disturbs little; files and the matrix products
// that the prediction rests on are measured in turn, round by round, and the lower decile of all rounds stands. A few tokens at a time:
// the tenth token of an answer, not the thousandth. Weights are read from the pages in which the system
// keeps the file, and copies of one file differ in speed, old ones from fresh ones by more than a tenth: where the pages lie is the likely
// reason. So several fresh copies of each are measured, and the median copy stands.
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";

import { decodeWork, fitDecodeModel, predictDecode, productKey, productsOf } from "../dist/fit/decode-model.js";
import { measureSpeed } from "../dist/fit/measure-speed.js";
import { memoryBytes } from "../dist/model/memory.js";
import { openModel } from "../dist/model/open.js";
import { residentBytes } from "../dist/model/resident.js";
import { loadEngine } from "../dist/native/engine.js";
import { LlamaContext } from "../dist/native/llama-context.js";
import { LlamaModel } from "../dist/native/llama-model.js";
import { productSecondsPerByte } from "../dist/native/product-speed.js";
import { median } from "../dist/fit/speed.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "12" },
    copies: { type: "string", default: "3" },
    context: { type: "string", default: "512" },
  },
});
if (positionals.length < 2) throw new Error("Name several GGUF files");

const ROUND_SECONDS = 0.02;
const POSITIONS = 16;
const engine = loadEngine();
const files = [];
for (const path of positionals) files.push({ path, name: basename(path), model: await openModel(path) });

const folder = mkdtempSync(join(tmpdir(), "pare-cost-"));
try {
  decodeSpeed();
} finally {
  rmSync(folder, { recursive: true });
}
await memory();

function decodeSpeed() {
  for (const file of files) {
    file.copies = Array.from({ length: Number(values.copies) }, (_, index) => loaded(file, index));
  }
  const kinds = new Map(files.flatMap(({ model }) => productsOf(model).map((kind) => [productKey(kind), kind])));
  const products = new Map([...kinds.keys()].map((key) => [key, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const copy of files.flatMap(({ copies }) => copies)) copy.samples.push(tokenSeconds(copy));
    for (const [key, kind] of kinds) {
      products
        .get(key)
        .push(productSecondsPerByte(engine, { ...kind, threads: 1, repack: true, clock: processorSeconds }));
    }
  }
  const speeds = new Map([...products].map(([key, samples]) => [key, lowerDecile(samples)]));
  const measurements = files.map(({ model, copies }) => ({
    ...decodeWork(model, speeds, POSITIONS / 2),
    decodeTokensPerSecond: median(copies.map(speedOf)),
  }));
  const { factors, errorShares } = fitDecodeModel(measurements);
  console.log(`decode, 1 thread, ${values.rounds} rounds; factors ${JSON.stringify(factors)}\n`);
  console.log(
    "| file | MB | measured, tokens/s | copies apart | predicted from the others | off |\n|---|---|---|---|---|---|",
  );
  for (const [index, { name, model, copies }] of files.entries()) {
    const others = fitDecodeModel(measurements.filter((_, other) => other !== index));
    const measured = measurements[index].decodeTokensPerSecond;
    const predicted = predictDecode(measurements[index], others);
    const size = (model.fileSizeBytes / 1e6).toFixed(1);
    const speeds = copies.map(speedOf);
    const apart = percent(Math.max(...speeds) / Math.min(...speeds) - 1);
    const off = percent(predicted / measured - 1);
    console.log(`| ${name} | ${size} | ${measured.toFixed(1)} | ${apart} | ${predicted.toFixed(1)} | ${off} |`);
  }
  console.log(`\nworst ${percent(Math.max(...errorShares))}\n`);
}

/** A fresh copy of a file, ready to run. */
function loaded({ path, name }, index) {
  const copy = join(folder, `${index}-${name}`);
  copyFileSync(path, copy);
  const context = LlamaContext.create(LlamaModel.load(engine, copy, { repack: true }), {
    contextLength: 256,
    threads: 1,
  });
  return { context, batch: context.newBatch(), samples: [] };
}

/** Tokens per second. */
function speedOf({ samples }) {
  return 1 / lowerDecile(samples);
}

/** Seconds of one token, over some tokens near the beginning of an answer. */
function tokenSeconds({ context, batch, samples }) {
  const repeats = Math.max(1, Math.round(ROUND_SECONDS / (POSITIONS * (samples[0] ?? ROUND_SECONDS))));
  const decode = (position) => {
    batch.clear();
    batch.add(1 + ((position * 37) % 400), position, 0, true);
    context.decode(batch);
    context.synchronize();
  };
  let seconds = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    context.clearMemory();
    decode(0);
    seconds += processorSeconds(() => {
      for (let position = 1; position <= POSITIONS; position++) decode(position);
    });
  }
  return seconds / (repeats * POSITIONS);
}

function processorSeconds(work) {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function lowerDecile(samples) {
  return [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 10)];
}

async function memory() {
  const context = Number(values.context);
  console.log(
    "| file | engine's buffers, MB | predicted | off | resident, MB | predicted | off |\n|---|---|---|---|---|---|---|",
  );
  for (const { path, name, model } of files) {
    const { memory, promptTokens } = await measureSpeed({
      model: path,
      promptTokens: context,
      decodeTokens: 8,
      repeats: 1,
      threads: 1,
    });
    const allotted = memory.modelBytes + memory.kvCacheBytes + memory.computeBytes + memory.outputBytes;
    const { total } = memoryBytes(model, { contextLength: promptTokens });
    const resident = residentBytes(model, {
      contextLength: promptTokens,
      rearranged: new Set(memory.rearrangedTypes),
      emptyBytes: memory.emptyBytes,
    });
    const row = [
      allotted,
      total,
      total / allotted - 1,
      memory.residentBytes,
      resident,
      resident / memory.residentBytes - 1,
    ];
    console.log(
      `| ${name} | ${row.map((value, i) => (i % 3 === 2 ? percent(value) : (value / 1e6).toFixed(1))).join(" | ")} |`,
    );
  }
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
