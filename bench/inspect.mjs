// What `pare inspect` costs on a 1 GB model with a vocabulary of 150 000 tokens and as many merges: processor time and peak
// memory of the whole process, Node's own start included and shown beside.
//
//   npm run build && node bench/inspect.mjs [runs]
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Metadata, MetadataArray } from "../dist/formats/gguf/metadata.js";
import { writeGguf } from "../dist/formats/gguf/write.js";

const RUNS = Number(process.argv[2] ?? 7);
const [WIDTH, INNER, LAYERS, VOCABULARY] = [2048, 8192, 4, 150_000];
const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

// Preloaded in the child. On Linux the peak is read from /proc, as what getrusage() tells begins with the parent's.
const TELL_USE = `data:text/javascript,${encodeURIComponent(`
  import { readFileSync, writeSync } from "node:fs";
  process.on("exit", () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
    const peak = process.platform === "linux" ? /VmHWM:\\s*(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1] : maxRSS;
    writeSync(3, JSON.stringify({ cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakBytes: peak * 1024 }));
  });
`)}`;

const folder = mkdtempSync(join(tmpdir(), "pare-inspect-"));
try {
  const path = join(folder, "model.gguf");
  const { sizeBytes } = await writeLargeModel(path);
  console.log(`${(sizeBytes / 1e9).toFixed(2)} GB, ${VOCABULARY} tokens, median of ${RUNS} runs`);
  report("node alone", ["-e", "0"]);
  report("pare inspect", [MAIN, "inspect", path]);
  report("pare inspect --json", [MAIN, "inspect", path, "--json"]);
} finally {
  rmSync(folder, { recursive: true });
}

/** Runs a command and prints its medians; the child tells its own use of resources as it ends. */
function report(what, args) {
  const uses = Array.from({ length: RUNS }, () => {
    const { output, status } = spawnSync(process.execPath, ["--import", TELL_USE, ...args], {
      stdio: ["ignore", "ignore", "inherit", "pipe"],
    });
    if (status !== 0) throw new Error(`${what} ended with ${status}`);
    return JSON.parse(output[3].toString());
  });
  const seconds = median(uses.map((use) => use.cpuSeconds)).toFixed(3);
  const megabytes = median(uses.map((use) => use.peakBytes)) / 1e6;
  console.log(`${what.padEnd(20)} ${seconds} s of CPU  ${megabytes.toFixed(0)} MB`);
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function writeLargeModel(path) {
  const tokens = Array.from({ length: VOCABULARY }, (_, id) => `token${id}`);
  const metadata = new Metadata()
    .set("general.architecture", "string", "llama")
    .set("llama.block_count", "uint32", LAYERS)
    .set("llama.context_length", "uint32", 8192)
    .set("llama.embedding_length", "uint32", WIDTH)
    .set("llama.feed_forward_length", "uint32", INNER)
    .set("llama.attention.head_count", "uint32", 32)
    .set("llama.attention.head_count_kv", "uint32", 8)
    .set("tokenizer.ggml.model", "string", "gpt2")
    .set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", tokens))
    .set(
      "tokenizer.ggml.token_type",
      "array",
      MetadataArray.of(
        "int32",
        tokens.map(() => 1),
      ),
    )
    .set(
      "tokenizer.ggml.merges",
      "array",
      MetadataArray.of(
        "string",
        tokens.map((token) => `${token} ${token}`),
      ),
    );
  const matrix = (name, columns, rows) => ({
    name,
    shape: [columns, rows],
    type: "f16",
    chunks: () => zeros(2 * columns * rows),
  });
  const tensors = [matrix("token_embd.weight", WIDTH, VOCABULARY)];
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const name of ["attn_q", "attn_output"]) tensors.push(matrix(`blk.${layer}.${name}.weight`, WIDTH, WIDTH));
    for (const name of ["attn_k", "attn_v"]) tensors.push(matrix(`blk.${layer}.${name}.weight`, WIDTH, WIDTH / 4));
    for (const name of ["ffn_gate", "ffn_up"]) tensors.push(matrix(`blk.${layer}.${name}.weight`, WIDTH, INNER));
    tensors.push(matrix(`blk.${layer}.ffn_down.weight`, INNER, WIDTH));
  }
  return writeGguf(path, { metadata, tensors });
}

function* zeros(sizeBytes) {
  const piece = new Uint8Array(8 * 2 ** 20);
  for (let left = sizeBytes; left > 0; left -= piece.byteLength)
    yield piece.subarray(0, Math.min(left, piece.byteLength));
}
