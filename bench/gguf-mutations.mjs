// Reads many damaged GGUF files and prints how many loaded, how many were refused, the slowest, and the peak memory. Each
// must load or fail with a FormatError within a second and 200 MB; anything else ends the run with exit code 1.
//
//   npm run build && node bench/gguf-mutations.mjs [count] [seed] [model.gguf…]
//
// Without models it damages a small file with every metadata type and every ggml type in it. With them, their headers.
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { FormatError } from "../dist/errors.js";
import { GGML_TYPES } from "../dist/formats/gguf/ggml-types.js";
import { Metadata, MetadataArray } from "../dist/formats/gguf/metadata.js";
import { readGguf } from "../dist/formats/gguf/read.js";
import { writeGguf } from "../dist/formats/gguf/write.js";
import { checkForEngine } from "../dist/model/check.js";
import { inspect } from "../dist/model/inspect.js";
import { openModel } from "../dist/model/open.js";
import { Random } from "../dist/support/random.js";
import { mutateGguf } from "./mutate-gguf.mjs";

const [count = "10000", seedText = "1", ...models] = process.argv.slice(2);
const seed = Number(seedText);
const folder = mkdtempSync(join(tmpdir(), "pare-mutations-"));
const LIMIT_MS = 1000;
const LIMIT_BYTES = 200e6;

try {
  const originals = await Promise.all(models.map((path) => prepare(path)));
  if (originals.length === 0) originals.push(await prepare(await writeEverything()));
  const random = new Random(seed);
  const tally = { loaded: 0, refused: 0, unforeseen: 0 };
  const byKind = {};
  const reasons = new Map();
  let slowest = { ms: 0, what: "" };
  let peakBytes = 0;
  const path = join(folder, "damaged.gguf");
  for (let i = 0; i < Number(count); i++) {
    const { bytes: original, layout } = originals[i % originals.length];
    const { kind, bytes } = mutateGguf(original, random, layout);
    await writeFile(path, bytes);
    const start = performance.now();
    const outcome = await load(path);
    const ms = performance.now() - start;
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
    tally[outcome.result]++;
    byKind[kind] ??= { loaded: 0, refused: 0, unforeseen: 0 };
    byKind[kind][outcome.result]++;
    if (outcome.reason) reasons.set(outcome.reason, (reasons.get(outcome.reason) ?? 0) + 1);
    if (ms > slowest.ms) slowest = { ms, what: `number ${i}, ${kind}` };
    if (outcome.result === "unforeseen") console.error(`number ${i}, ${kind}:`, outcome.error);
  }
  console.table(byKind);
  console.log(`reasons: ${reasons.size} kinds; the most frequent:`);
  for (const [reason, times] of [...reasons].sort((a, b) => b[1] - a[1]).slice(0, 12))
    console.log(`  ${times} × ${reason}`);
  console.log(
    `${count} files, seed ${seed}: ${tally.loaded} loaded, ${tally.refused} refused, ${tally.unforeseen} unforeseen`,
  );
  console.log(
    `slowest ${slowest.ms.toFixed(1)} ms (${slowest.what}); peak memory of the whole process ${(peakBytes / 1e6).toFixed(0)} MB`,
  );
  if (tally.unforeseen > 0 || slowest.ms > LIMIT_MS || peakBytes > LIMIT_BYTES) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}

/** What `pare inspect` and the check before the engine do. */
async function load(path) {
  try {
    await inspect(path);
    const model = await openModel(path);
    try {
      await checkForEngine(model);
      for (const tensor of model.tensors.values()) await tensor.readRows(0, 1);
    } finally {
      await model.close();
    }
    return { result: "loaded" };
  } catch (error) {
    const isForeseen = error instanceof FormatError && error.message.includes(path);
    const reason = error.message
      ?.replace(/"[^"]*"/g, '"…"')
      .replace(/\d+/g, "#")
      .slice(0, 100);
    return isForeseen ? { result: "refused", reason } : { result: "unforeseen", error };
  }
}

/** A file's first bytes and where its header's numbers stand. */
async function prepare(path) {
  const gguf = await readGguf(path);
  const headerBytes = Math.min(...gguf.tensors.map(({ offset }) => offset));
  await gguf.close();
  const bytes = new Uint8Array(await readFile(path));
  const view = new DataView(bytes.buffer);
  const fields = [];
  // Every place where a small 64-bit number stands is likely a length, a count or an offset.
  for (let offset = 0; offset + 8 <= Math.min(headerBytes, 65_536); offset++) {
    if (view.getBigUint64(offset, true) < 1n << 20n && view.getUint32(offset, true) !== 0) fields.push(offset);
  }
  return { bytes, layout: { headerBytes, fields } };
}

async function writeEverything() {
  const path = join(folder, "everything.gguf");
  const metadata = new Metadata()
    .set("general.architecture", "string", "llama")
    .set("general.alignment", "uint32", 64)
    .set("llama.block_count", "uint32", 1)
    .set("llama.context_length", "uint32", 128)
    .set("llama.embedding_length", "uint32", 256)
    .set("llama.attention.head_count", "array", MetadataArray.of("uint32", [4]))
    .set("llama.attention.head_count_kv", "uint32", 2)
    .set("llama.feed_forward_length", "uint32", 512)
    .set("tokenizer.ggml.model", "string", "gpt2")
    .set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", ["a", "b", "ab", "é"]))
    .set("tokenizer.ggml.token_type", "array", MetadataArray.of("int32", [1, 1, 1, 1]))
    .set("tokenizer.ggml.merges", "array", MetadataArray.of("string", ["a b"]))
    .set("tokenizer.ggml.eos_token_id", "uint32", 3);
  for (const type of ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"])
    metadata.set(`all.${type}`, type, 7);
  metadata.set("all.float32", "float32", 0.5).set("all.float64", "float64", 0.5).set("all.bool", "bool", true);
  const nested = MetadataArray.of("array", [MetadataArray.of("uint8", [1, 2]), MetadataArray.of("uint8", [])]);
  metadata.set("all.nested", "array", nested);
  const matrix = (name, ...shape) => ({
    name,
    shape,
    type: "f32",
    chunks: () => zeros(4 * shape.reduce((a, b) => a * b)),
  });
  const tensors = [
    matrix("token_embd.weight", 256, 4),
    ...["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_up", "ffn_down"].map((name) =>
      matrix(`blk.0.${name}.weight`, 256),
    ),
    ...Object.entries(GGML_TYPES).map(([type, { blockSize, typeSizeBytes }]) => ({
      name: `all.${type}`,
      shape: [blockSize, 3],
      type,
      chunks: () => zeros(3 * typeSizeBytes),
    })),
  ];
  await writeGguf(path, { metadata, tensors });
  return path;
}

function zeros(sizeBytes) {
  return [new Uint8Array(sizeBytes)];
}
