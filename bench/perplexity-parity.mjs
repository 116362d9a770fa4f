// Pare's perplexity and KL divergence beside llama.cpp's own `llama-perplexity`: same text, windows, threads and no repacking.
//
//   npm run build
//   node bench/perplexity-parity.mjs --tool path/to/llama-perplexity [--threads 2] [--text FILE] [MODEL CONTEXT WINDOWS]…
//
// The tool's path can also stand in LLAMA_PERPLEXITY. Each model is the baseline of its own q8_0 and q4_0, which are made in a
// temporary folder. Without models: those of ../shared/models. Runs alternate; times are of whole processes, loading included.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { evaluateText } from "../dist/evaluate/text.js";
import { quantize } from "../dist/passes/quantize/quantize.js";

const shared = (name) => fileURLToPath(new URL(`../../shared/${name}`, import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { tool: { type: "string" }, threads: { type: "string", default: "2" }, text: { type: "string" } },
});
const tool = values.tool ?? process.env.LLAMA_PERPLEXITY;
if (!tool || !existsSync(tool)) {
  console.error("Give the path of llama-perplexity with --tool or in LLAMA_PERPLEXITY");
  process.exit(2);
}
const threads = Number(values.threads);
const TYPES = ["q8_0", "q4_0"];
const runs = positionals.length > 0 ? fromArguments(positionals) : sharedRuns();
const folder = mkdtempSync(join(tmpdir(), "pare-perplexity-"));
const rows = [];
try {
  for (const run of runs) for (const type of TYPES) rows.push(await compare(run, type));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const row of rows)
  console.log(
    Object.entries(row)
      .map(([name, value]) => `${name.padEnd(14)} ${value}`)
      .join("\n"),
    "\n",
  );

function fromArguments(words) {
  const found = [];
  for (let i = 0; i + 2 < words.length; i += 3) {
    found.push({
      model: words[i],
      context: Number(words[i + 1]),
      windows: Number(words[i + 2]),
      text: values.text ?? shared("data/wikitext-2-raw.test.raw"),
    });
  }
  return found;
}

function sharedRuns() {
  return [
    {
      model: shared("models/stories15M-f16.gguf"),
      context: 256,
      windows: 64,
      text: shared("data/stories-heldout.txt"),
    },
    {
      model: shared("models/minimind2-small-f16.gguf"),
      context: 512,
      windows: 12,
      text: shared("data/wikitext-2-raw.test.raw"),
    },
  ].filter(({ model, text }) => existsSync(model) && existsSync(text));
}

async function compare({ model, context, windows, text }, type) {
  const candidate = join(folder, `${basename(model, ".gguf")}-${type}.gguf`);
  await quantize({ input: model, output: candidate, type, allowRequantize: true });
  const contents = readFileSync(text, "utf8").replace(/\n$/, ""); // the tool drops one line end
  const textFile = join(folder, "text");
  writeFileSync(textFile, contents);
  const logits = join(folder, "logits");
  const baselineFile = join(folder, `${basename(model)}.baseline`);
  const common = [
    "-f",
    textFile,
    "-c",
    `${context}`,
    "--chunks",
    `${windows}`,
    "-t",
    `${threads}`,
    "--no-repack",
    "--kl-divergence-base",
    logits,
  ];
  const request = { contextLength: context, windows: { count: windows }, threads };
  const toolBase = timed(() => runTool(["-m", model, ...common]));
  const pareBase = await timedAsync(() => evaluateText({ ...request, model, texts: [contents], baselineFile }));
  const toolRun = timed(() => runTool(["-m", candidate, ...common, "--kl-divergence"]));
  const pareRun = await timedAsync(() =>
    evaluateText({ ...request, model: candidate, texts: [contents], against: baselineFile }),
  );
  // Of its baseline run: the report's own comes from logits that were cut at -16.
  const basePerplexity = Number(/Final estimate: PPL = ([\d.]+)/.exec(toolBase.result)[1]);
  const theirs = readReport(toolRun.result);
  const ours = pareRun.result;
  const tokens = ours.tokens;
  return {
    candidate: basename(candidate, ".gguf"),
    tokens,
    "PPL pare": digits(ours.perplexity.mean),
    "PPL tool": digits(theirs.perplexity),
    "PPL %": percent(ours.perplexity.mean, theirs.perplexity),
    "base PPL %": percent(pareBase.result.perplexity.mean, basePerplexity),
    "KLD pare": digits(ours.klDivergence.mean),
    "KLD tool": digits(theirs.mean),
    "KLD %": percent(ours.klDivergence.mean, theirs.mean),
    "median %": percent(ours.klDivergence.median, theirs.median),
    "p99 %": percent(ours.klDivergence.p99, theirs.p99),
    "top pare": digits(100 * ours.sameTopRate),
    "top tool": digits(theirs.sameTop),
    "Δp RMS pare": digits(100 * ours.probabilityChange.rootMeanSquare),
    "Δp RMS tool": digits(theirs.rms),
    "B/token pare": Math.round(statSync(baselineFile).size / tokens),
    "B/token tool": Math.round(statSync(logits).size / tokens),
    "base s pare": digits(pareBase.seconds),
    "base s tool": digits(toolBase.seconds),
    "KLD s pare": digits(pareRun.seconds),
    "KLD s tool": digits(toolRun.seconds),
    "scoring %": digits((100 * ours.seconds.scoring) / (ours.seconds.scoring + ours.seconds.forward)),
  };
}

function readReport(report) {
  const number = (pattern) => {
    const match = pattern.exec(report);
    if (!match) throw new Error(`The tool's report has no ${pattern}:\n${report.slice(-2000)}`);
    return Number(match[1]);
  };
  return {
    perplexity: number(/Mean PPL\(Q\)\s*:\s*([\d.]+)/),
    mean: number(/Mean\s+KLD:\s*(-?[\d.]+)/),
    median: number(/Median\s+KLD:\s*(-?[\d.]+)/),
    p99: number(/99\.0%\s+KLD:\s*(-?[\d.]+)/),
    sameTop: number(/Same top p:\s*([\d.]+)/),
    rms: number(/RMS Δp\s*:\s*([\d.]+)/),
  };
}

/** Its report goes to standard error. */
function runTool(words) {
  return execFileSync("sh", ["-c", '"$0" "$@" 2>&1', tool, ...words]).toString("utf8");
}

function timed(work) {
  const began = performance.now();
  return { result: work(), seconds: (performance.now() - began) / 1000 };
}

async function timedAsync(work) {
  const began = performance.now();
  return { result: await work(), seconds: (performance.now() - began) / 1000 };
}

function digits(value) {
  return Number(value.toPrecision(6));
}

function percent(ours, theirs) {
  return Number((100 * (ours / theirs - 1)).toFixed(3));
}
