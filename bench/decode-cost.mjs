// How long decoding takes per byte of each type, relative to f16: the table in src/fit/allocate/decode-cost.ts.
//
//   npm run build && node bench/decode-cost.mjs [--rounds 5] [--tokens 8] [--threads 1] [--types LIST] [--no-repack] MODEL
//
// MODEL is an f16 file; it is written once in each type, all matrices of its layers alike. Each round decodes a few tokens
// with each. Counted is processor time, so that other work on the machine disturbs little; the least of all rounds stands.
// With one thread arithmetic counts most; the more threads share the memory, the nearer all types come to 1.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { MIX_TYPES } from "../dist/fit/allocate/candidate-types.js";
import { bytesTouchedPerToken } from "../dist/model/memory.js";
import { openModel } from "../dist/model/open.js";
import { loadEngine } from "../dist/native/engine.js";
import { LlamaContext } from "../dist/native/llama-context.js";
import { LlamaModel } from "../dist/native/llama-model.js";
import { calibrate } from "../dist/calibrate/calibrate.js";
import { quantize } from "../dist/passes/quantize/quantize.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    tokens: { type: "string", default: "8" },
    types: { type: "string", default: MIX_TYPES.join() },
    threads: { type: "string", default: "1" },
    "no-repack": { type: "boolean", default: false },
  },
});
const [source] = positionals;
if (!source) throw new Error("Name an f16 model");
const tokens = Number(values.tokens);

const folder = await mkdtemp(join(tmpdir(), "pare-decode-cost-"));
try {
  const importance = join(folder, "imatrix.gguf");
  const edges = { outputType: "f16", tokenEmbeddingType: "f16" }; // importance data have no entries for these
  await calibrate({ model: source, texts: ["word ".repeat(2000)], contextLength: 128, chunks: 2, output: importance });
  const files = new Map([["f16", source]]);
  for (const type of values.types.split(",")) {
    if (type === "f16") continue;
    files.set(type, join(folder, `${type}.gguf`));
    await quantize({ input: source, output: files.get(type), type, pure: true, importance, ...edges });
  }
  await measure(files);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(files) {
  const seconds = new Map([...files.keys()].map((type) => [type, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [type, path] of files) seconds.get(type).push(decodeSeconds(path));
  }
  const costs = [];
  for (const [type, path] of files) {
    const model = await openModel(path);
    const bytes = bytesTouchedPerToken(model, tokens / 2);
    await model.close();
    costs.push({ type, bytes, perByte: Math.min(...seconds.get(type)) / bytes });
  }
  console.log(`threads ${values.threads}, repack ${!values["no-repack"]}, rounds ${values.rounds}, tokens ${tokens}`);
  console.log("| type | MB per token | ms per token | per byte, f16 = 1 |\n|---|---|---|---|");
  for (const { type, bytes, perByte } of costs) {
    const relative = perByte / costs[0].perByte;
    console.log(
      `| ${type} | ${(bytes / 1e6).toFixed(1)} | ${(perByte * bytes * 1e3).toFixed(2)} | ${relative.toFixed(2)} |`,
    );
  }
}

/** Processor seconds per token. */
function decodeSeconds(path) {
  const model = LlamaModel.load(loadEngine(), path, { repack: !values["no-repack"] });
  const context = LlamaContext.create(model, { contextLength: 256, threads: Number(values.threads) });
  try {
    const batch = context.newBatch();
    const decode = (position) => {
      batch.clear();
      batch.add(1, position, 0, true);
      context.decode(batch);
      context.synchronize();
    };
    for (let position = 0; position < 2; position++) decode(position);
    const before = process.cpuUsage();
    for (let position = 2; position < 2 + tokens; position++) decode(position);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6 / tokens;
  } finally {
    context[Symbol.dispose]();
    model[Symbol.dispose]();
  }
}
