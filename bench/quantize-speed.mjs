// Speed of `quantize` against llama.cpp's own llama-quantize: whole commands, start-up included, interleaved, medians.
//
//   npm run build && node bench/quantize-speed.mjs --llama-quantize PATH [--rounds 5] [--threads 2] [--types q8_0,q4_K_M] [MODEL…]
//
// Without models it takes ../shared/models/stories15M-f16.gguf, where that is, and a synthetic one of about 300 MB.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Metadata, MetadataArray } from "../dist/formats/gguf/metadata.js";
import { writeGguf } from "../dist/formats/gguf/write.js";
import { sha256File } from "../dist/support/files.js";
import { randomHalves } from "./random-halves.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "llama-quantize": { type: "string" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: "2" },
    types: { type: "string", default: "q8_0,q4_0,q4_K_M,q6_K,iq4_xs" },
  },
});
if (!values["llama-quantize"]) throw new Error("Name llama.cpp's tool: --llama-quantize PATH");

const folder = mkdtempSync(join(tmpdir(), "pare-quantize-speed-"));
const library = fileURLToPath(new URL("../dist/passes/quantize/quantize.js", import.meta.url));
try {
  const models = positionals.length > 0 ? positionals : await defaultModels();
  console.log("| model | type | Pare s | llama-quantize s | speed ratio | Pare CPU s | llama CPU s | same file |");
  console.log("|---|---|---|---|---|---|---|---|");
  for (const model of models) for (const type of values.types.split(",")) await compare(model, type);
} finally {
  rmSync(folder, { recursive: true });
}

async function compare(model, type) {
  const [ours, theirs] = [join(folder, "pare.gguf"), join(folder, "llama.gguf")];
  const request = JSON.stringify({ input: model, output: ours, type, threads: Number(values.threads) });
  const script = `import(${JSON.stringify(library)}).then(({ quantize }) => quantize(${request}))`;
  const commands = [
    [process.execPath, "-e", script],
    [values["llama-quantize"], model, theirs, type, values.threads],
  ];
  const seconds = [[], []];
  const cpuSeconds = [[], []];
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const side of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const [wall, cpu] = timed(commands[side]);
      seconds[side].push(wall);
      cpuSeconds[side].push(cpu);
    }
  }
  const [pare, llama, pareCpu, llamaCpu] = [...seconds, ...cpuSeconds].map(median);
  const isSame = (await sha256File(ours)) === (await sha256File(theirs));
  const label = `${basename(model)} (${Math.round(statSync(model).size / 1e6)} MB)`;
  const numbers = [pare, llama, llama / pare, pareCpu, llamaCpu].map((number) => number.toFixed(2));
  console.log(`| ${label} | ${type} | ${numbers.join(" | ")} | ${isSame ? "yes" : "no"} |`);
}

/** Wall and CPU seconds of a command with its children, by the shell's own clock. */
function timed(command) {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null 2>"$0"';
  const log = join(folder, "log.txt");
  const { stderr, status } = spawnSync("bash", ["-c", script, log, ...command], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command[0]} failed: ${readFileSync(log, "utf8")}`);
  const [wall, user, system] = stderr.trim().split(" ").map(Number);
  return [wall, user + system];
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}

async function defaultModels() {
  const stories = fileURLToPath(new URL("../../shared/models/stories15M-f16.gguf", import.meta.url));
  return [...(existsSync(stories) ? [stories] : []), await writeLargeModel(join(folder, "synthetic-f16.gguf"))];
}

/** About 150 million normal weights in f16, in the shape of a small llama. */
async function writeLargeModel(path) {
  const [width, inner, layers, vocabulary] = [1024, 2816, 10, 16384];
  const metadata = new Metadata().set("general.architecture", "string", "llama");
  const counts = {
    block_count: layers,
    context_length: 512,
    embedding_length: width,
    feed_forward_length: inner,
    "attention.head_count": 16,
    "attention.head_count_kv": 16,
    vocab_size: vocabulary,
  };
  for (const [key, value] of Object.entries(counts)) metadata.set(`llama.${key}`, "uint32", value);
  metadata.set("llama.attention.layer_norm_rms_epsilon", "float32", 1e-5);
  metadata.set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", ["a"]));
  const tensor = (name, ...shape) => ({ name, shape, type: "f16", chunks: () => [randomHalves(shape, name)] });
  const tensors = [tensor("token_embd.weight", width, vocabulary), tensor("output.weight", width, vocabulary)];
  for (let layer = 0; layer < layers; layer++) {
    for (const part of ["attn_q", "attn_k", "attn_v", "attn_output"])
      tensors.push(tensor(`blk.${layer}.${part}.weight`, width, width));
    tensors.push(
      tensor(`blk.${layer}.ffn_gate.weight`, width, inner),
      tensor(`blk.${layer}.ffn_up.weight`, width, inner),
    );
    tensors.push(tensor(`blk.${layer}.ffn_down.weight`, inner, width));
  }
  await writeGguf(path, { metadata, tensors });
  return path;
}
