// Decode speed of one file against another's, such as a mix of Pare's against llama.cpp's preset of the same size.
//
//   npm run build && node bench/mix-speed.mjs [--rounds 15] [--threads 2] [--decode 64] MIX.gguf PRESET.gguf [MIX.gguf PRESET.gguf …]
//
// Rounds alternate which of the two is first. Above 1 the first file is faster; see speed-ratio.mjs for the two ratios.
import { basename } from "node:path";
import { parseArgs } from "node:util";

import { measureSpeed } from "../dist/fit/measure-speed.js";
import { median } from "../dist/fit/speed.js";
import { physicalCores } from "../dist/native/cores.js";
import { bestRatio, meanRatio } from "./speed-ratio.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "15" },
    threads: { type: "string", default: String(physicalCores()) },
    decode: { type: "string", default: "64" },
  },
});
if (positionals.length === 0 || positionals.length % 2) throw new Error("Name pairs of GGUF files");
const [rounds, threads, decodeTokens] = [values.rounds, values.threads, values.decode].map(Number);

console.log("| file | against | tokens/s, median | tokens/s, median | ratio | ratio of best tenths |");
console.log("|---|---|---|---|---|---|");
for (let at = 0; at < positionals.length; at += 2) {
  const pair = positionals.slice(at, at + 2);
  const samples = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 ? [1, 0] : [0, 1]) {
      const request = { model: pair[side], promptTokens: 1, decodeTokens, repeats: 3, threads, repack: true };
      samples[side].push((await measureSpeed(request)).decodeSamples);
    }
  }
  const [own, other] = samples;
  const speeds = samples.map((each) => median(each.map(median)).toFixed(1));
  const ratios = [meanRatio(own, other), bestRatio(own, other)];
  console.log(`| ${[...pair.map((path) => basename(path)), ...speeds, ...ratios].join(" | ")} |`);
}
