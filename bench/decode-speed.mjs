// Speed of decoding and prefill through Pare against llama.cpp's own llama-bench: same file, same threads, interleaved.
// A virtual machine's speed wanders by more than the difference that is looked for, so there are two ratios. One is the
// geometric mean over rounds of the two sides' medians in a round, with its standard error: a round's sides share its speed. The
// other compares the speeds that each side's best tenth of samples reaches, as other work on the machine only ever slows.
//
//   npm run build && node bench/decode-speed.mjs --llama-bench PATH [--rounds 5] [--threads 2] [--prompt 128] [--decode 64] [--no-repack] MODEL…
//
// llama-bench times llama_decode alone, on random tokens. "decode" is Pare's measurement of the same; "greedy" adds the
// choice of the most likely token, which is what an answer costs. Without --no-repack both sides rearrange weights at load.
// llama-bench has no switch for that, so --no-repack pins every tensor of its to the plain CPU buffer (-ot ".*=CPU").
import { spawnSync } from "node:child_process";
import { basename } from "node:path";
import { parseArgs } from "node:util";

import { measureSpeed } from "../dist/fit/measure-speed.js";
import { median } from "../dist/fit/speed.js";
import { physicalCores } from "../dist/native/cores.js";
import { bestRatio, meanRatio } from "./speed-ratio.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "llama-bench": { type: "string" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: String(physicalCores()) },
    prompt: { type: "string", default: "128" },
    decode: { type: "string", default: "64" },
    "no-repack": { type: "boolean", default: false },
  },
});
if (!values["llama-bench"]) throw new Error("Name llama.cpp's tool: --llama-bench PATH");
if (positionals.length === 0) throw new Error("Name at least one GGUF file");

const threads = Number(values.threads);
const promptTokens = Number(values.prompt);
const decodeTokens = Number(values.decode);
const repack = !values["no-repack"];

console.log(
  `threads ${threads}, prompt ${promptTokens}, decode ${decodeTokens}, rounds ${values.rounds}, repack ${repack}`,
);
console.log(
  "| model | measure | Pare tokens/s, median | llama-bench tokens/s, median | ratio | ratio of best tenths |",
);
console.log("|---|---|---|---|---|---|");
for (const model of positionals) await compare(model);

async function compare(model) {
  const ours = { prefill: [], decode: [], greedy: [] };
  const theirs = { prefill: [], decode: [] };
  const rounds = Number(values.rounds);
  const sides = [
    async () => {
      const random = await pare(model, false);
      ours.prefill.push(random.prefillSamples);
      ours.decode.push(random.decodeSamples);
    },
    async () => ours.greedy.push((await pare(model, true)).decodeSamples),
    async () => {
      const result = llamaBench(model);
      theirs.prefill.push(result.prefill);
      theirs.decode.push(result.decode);
    },
  ];
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < sides.length; turn++) await sides[(round + turn) % sides.length]();
  }
  const row = (what, mine, yours) => {
    const speeds = [mine, yours].map((samples) => median(samples.map(median)).toFixed(1)).join(" | ");
    console.log(`| ${basename(model)} | ${what} | ${speeds} | ${meanRatio(mine, yours)} | ${bestRatio(mine, yours)} |`);
  };
  row(`prefill ${promptTokens}`, ours.prefill, theirs.prefill);
  row(`decode ${decodeTokens}`, ours.decode, theirs.decode);
  row(`greedy ${decodeTokens}`, ours.greedy, theirs.decode);
}

function pare(model, greedy) {
  return measureSpeed({ model, promptTokens, decodeTokens, repeats: 3, threads, repack, greedy });
}

function llamaBench(model) {
  const options = ["-m", model, "-p", promptTokens, "-n", decodeTokens, "-t", threads, "-r", 3, "-o", "json"];
  const pinned = repack ? [] : ["-ot", ".*=CPU"];
  const { status, signal, stdout, stderr } = spawnSync(values["llama-bench"], [...options, ...pinned].map(String), {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`llama-bench ended with ${signal ?? status}: ${stderr.trim().split("\n").at(-1)}`);
  const results = JSON.parse(stdout);
  const of = (kind) => results.find((result) => result[kind] > 0).samples_ts;
  return { prefill: of("n_prompt"), decode: of("n_gen") };
}
