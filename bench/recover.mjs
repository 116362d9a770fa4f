// What training after rounding takes off a quantized model's divergence, on top of Pare's own choice of types and rounding.
//
//   npm run build
//   node bench/recover.mjs [--models stories15M,minimind2-small] [--sizes 4.3bpw] [--effort default] [--threads 2] [--work FOLDER]
//
// Each model is quantized to each size twice with the same calibration text, of its own kind, and the same measurements: as
// it is, and with --recover. Reported is KL divergence from the full-precision model on held-out text that neither run saw, weights
// not repacked, with wall time and processor time of either run: on a machine that is busy the second is the one to go by.
// Texts and files stay in the work folder; what is there already is not made again.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { evaluateText } from "../dist/evaluate/text.js";
import { quantizeCalibrated } from "../dist/fit/allocate/quantize-calibrated.js";
import { benchModels, homeCommands, stories260K } from "./quality-per-bit/models.mjs";
import { textsOf } from "./quality-per-bit/texts.mjs";

const { values: options } = parseArgs({
  options: {
    models: { type: "string", default: "stories15M,minimind2-small" },
    sizes: { type: "string", default: "4.3bpw" },
    effort: { type: "string", default: "default" },
    threads: { type: "string", default: "2" },
    work: { type: "string", default: join(tmpdir(), "pare-recover") },
  },
});
const threads = Number(options.threads);
mkdirSync(options.work, { recursive: true });
const rows = [];
for (const model of [homeCommands(), stories260K(), ...benchModels({})].filter(({ name }) =>
  options.models.split(",").includes(name),
)) {
  const texts = await textsOf(model, { folder: join(options.work, "texts"), threads });
  for (const size of options.sizes.split(",")) {
    const plain = await quantized(model, texts, size, false);
    const recovered = await quantized(model, texts, size, true);
    rows.push(await rowOf(model, texts, size, plain, recovered));
  }
}
console.table(rows);
process.exit(0); // the engine that wrote text keeps threads

async function quantized(model, texts, size, recover) {
  const base = join(options.work, `${model.name}-${size}-${options.effort}`);
  const output = `${base}${recover ? "-recovered" : ""}.gguf`;
  const facts = `${output}.json`;
  if (existsSync(facts)) return JSON.parse(readFileSync(facts, "utf8"));
  const [startMs, startCpu] = [performance.now(), childSeconds()];
  const { calibration } = await quantizeCalibrated({
    input: model.path,
    output,
    calibrate: [texts.calibration.path],
    size,
    table: `${base}.table.json`,
    effort: options.effort,
    contextLength: model.contextLength,
    parseSpecial: model.isChat,
    recover,
    threads,
  });
  const result = {
    output,
    sizeBytes: statSync(output).size,
    seconds: (performance.now() - startMs) / 1000,
    cpuSeconds: childSeconds() - startCpu,
    recovery: calibration.recovery,
  };
  writeFileSync(facts, JSON.stringify(result));
  return result;
}

async function rowOf(model, texts, size, plain, recovered) {
  const divergenceOf = async ({ output }) => {
    const { klDivergence } = await evaluateText({
      model: output,
      against: model.path,
      baselineFile: join(options.work, `${model.name}.baseline`),
      texts: [texts.heldOut.content],
      contextLength: model.contextLength,
      parseSpecial: model.isChat,
      threads,
    });
    return klDivergence;
  };
  const [before, after] = [await divergenceOf(plain), await divergenceOf(recovered)];
  return {
    model: model.name,
    size,
    bytes: plain.sizeBytes,
    "bytes recovered": recovered.sizeBytes,
    rounded: `${before.mean.toFixed(5)} ± ${before.standardError.toFixed(5)}`,
    recovered: `${after.mean.toFixed(5)} ± ${after.standardError.toFixed(5)}`,
    less: `${(100 * (1 - after.mean / before.mean)).toFixed(1)} %`,
    step: `${recovered.recovery.step} of ${recovered.recovery.steps}`,
    "minutes, processor minutes": [plain, recovered].map(minutes).join(" → "),
  };
}

function minutes({ seconds, cpuSeconds }) {
  return `${(seconds / 60).toFixed(1)}, ${(cpuSeconds / 60).toFixed(1)}`;
}

/** Processor time of child processes that have ended, as Linux tells it; NaN elsewhere. */
function childSeconds() {
  if (!existsSync("/proc/self/stat")) return Number.NaN;
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / 100; // cutime and cstime, in ticks
}
