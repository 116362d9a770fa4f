// Whether the memory that calibrated quantization takes beside the model grows with the number of layers.
//
//   npm run build
//   node bench/calibrated-memory.mjs --vocabulary FILE.gguf --text FILE [--layers 2,4,8] [--size 4.5bpw] [--effort default] [--threads 2]
//
// Models of random weights in the shape of TinyLlama-1.1B's layers, with the vocabulary of another model and so many layers each, are
// quantized to one size with one text. Reported is the most that the command's processes had resident at once, which counts mapped
// files, and what is left of it without the model's own bytes.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { Metadata } from "../dist/formats/gguf/metadata.js";
import { writeGguf } from "../dist/formats/gguf/write.js";
import { openModel } from "../dist/model/open.js";
import { runPare } from "./quality-per-bit/run-command.mjs";
import { randomHalves } from "./random-halves.mjs";

/** Of TinyLlama-1.1B, which has 22 such layers. */
const [WIDTH, INNER, HEADS, KV_HEADS, CONTEXT] = [2048, 5632, 32, 4, 256];

const { values: options } = parseArgs({
  options: {
    vocabulary: { type: "string" },
    text: { type: "string" },
    layers: { type: "string", default: "2,4,8" },
    size: { type: "string", default: "4.5bpw" },
    effort: { type: "string", default: "default" },
    threads: { type: "string", default: "2" },
  },
});
const folder = mkdtempSync(join(tmpdir(), "pare-calibrated-memory-"));
try {
  const rows = [];
  for (const layers of options.layers.split(",").map(Number)) rows.push(await rowOf(layers));
  console.table(rows);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function rowOf(layers) {
  const [input, output] = ["original.gguf", "lean.gguf"].map((name) => join(folder, name));
  await writeModel(input, layers);
  const words = ["--size", options.size, "--calibrate", options.text, "--context", `${CONTEXT}`];
  words.push("--effort", options.effort, "--threads", options.threads);
  const { seconds, peakBytes } = await runPare(["quantize", input, output, ...words]);
  const megabytes = (bytes) => Math.round(bytes / 1e6);
  const modelBytes = statSync(input).size;
  return {
    layers,
    "model, MB": megabytes(modelBytes),
    "peak, MB": megabytes(peakBytes),
    "without the model, MB": megabytes(peakBytes - modelBytes),
    minutes: (seconds / 60).toFixed(1),
  };
}

async function writeModel(path, layers) {
  const model = await openModel(options.vocabulary);
  const metadata = new Metadata();
  for (const { key, type, value } of model.metadata.entries())
    if (key.startsWith("tokenizer.")) metadata.set(key, type, value);
  const vocabulary = model.metadata.get("tokenizer.ggml.tokens").length;
  await model.close();
  await writeGguf(path, { metadata: shaped(metadata, layers, vocabulary), tensors: tensorsOf(layers, vocabulary) });
}

function shaped(metadata, layers, vocabulary) {
  const counts = {
    block_count: layers,
    context_length: CONTEXT,
    embedding_length: WIDTH,
    feed_forward_length: INNER,
    "attention.head_count": HEADS,
    "attention.head_count_kv": KV_HEADS,
    "rope.dimension_count": WIDTH / HEADS,
    vocab_size: vocabulary,
  };
  metadata.set("general.architecture", "string", "llama");
  for (const [key, value] of Object.entries(counts)) metadata.set(`llama.${key}`, "uint32", value);
  return metadata.set("llama.attention.layer_norm_rms_epsilon", "float32", 1e-5);
}

function tensorsOf(layers, vocabulary) {
  const matrix = (name, ...shape) => ({ name, shape, type: "f16", chunks: () => [randomHalves(shape, name)] });
  const norm = (name) => ({
    name,
    shape: [WIDTH],
    type: "f32",
    chunks: () => [new Uint8Array(new Float32Array(WIDTH).fill(1).buffer)],
  });
  const keys = (WIDTH / HEADS) * KV_HEADS;
  const ofLayer = (layer) => [
    norm(`blk.${layer}.attn_norm.weight`),
    matrix(`blk.${layer}.attn_q.weight`, WIDTH, WIDTH),
    matrix(`blk.${layer}.attn_k.weight`, WIDTH, keys),
    matrix(`blk.${layer}.attn_v.weight`, WIDTH, keys),
    matrix(`blk.${layer}.attn_output.weight`, WIDTH, WIDTH),
    norm(`blk.${layer}.ffn_norm.weight`),
    matrix(`blk.${layer}.ffn_gate.weight`, WIDTH, INNER),
    matrix(`blk.${layer}.ffn_up.weight`, WIDTH, INNER),
    matrix(`blk.${layer}.ffn_down.weight`, INNER, WIDTH),
  ];
  return [
    matrix("token_embd.weight", WIDTH, vocabulary),
    ...Array.from({ length: layers }, (_, layer) => ofLayer(layer)).flat(),
    norm("output_norm.weight"),
    matrix("output.weight", WIDTH, vocabulary),
  ];
}
