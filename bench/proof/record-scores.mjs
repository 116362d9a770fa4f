// Records what files of many sizes score on the cases of a task, so that what sequential evaluation saves can be measured without
// running them again: 3 000 cases of the home commands in some ten minutes of one core, or a task and a model of your own.
//
//   npm run build && node bench/proof/record-scores.mjs [TYPE…] > bench/proof/home-commands-scores.json
//   node bench/proof/record-scores.mjs --name NAME --model MODEL.gguf --task TASK --calibration TEXT TYPE… > bench/proof/NAME-scores.json
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: "string", default: "home commands" },
    model: { type: "string", default: join(root, "models/home-commands-f16.gguf") },
    task: { type: "string" },
    calibration: { type: "string", default: join(root, "models/home-commands-calibration.txt") },
  },
});
const source = options.model;
const types = positionals.length > 0 ? positionals : ["tq1_0", "iq1_S", "iq2_XXS", "q2_K", "q4_0"];
const folder = mkdtempSync(join(tmpdir(), "pare-scores-"));
const task = options.task ?? join(folder, "task.jsonl");
const importance = join(folder, "importance.gguf");

const pare = (...args) =>
  execFileSync(process.execPath, [join(root, "dist/cli/main.js"), ...args, "--threads", "1", "--quiet"], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });

try {
  if (options.task === undefined)
    execFileSync(process.execPath, [join(root, "scripts/home-commands/generate.mjs"), "3000", task]);
  pare("calibrate", source, options.calibration, "--parse-special", "--output", importance);
  const cases = readFileSync(task, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const models = [record("original", source), ...types.map(recordType)];
  const tags = [...new Set(cases.flatMap((one) => one.tags ?? []))];
  const document = {
    made: "bench/proof/record-scores.mjs",
    name: options.name,
    tags,
    cases: cases.map((one) => (one.tags ?? []).map((tag) => tags.indexOf(tag).toString(36)).join("")).join(" "),
    models: models.sort((a, b) => a.sizeBytes - b.sizeBytes),
  };
  process.stdout.write(`${JSON.stringify(document, null, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function recordType(type) {
  const file = join(folder, `${type}.gguf`);
  pare("quantize", source, file, "--type", type, "--imatrix", importance);
  return record(type, file);
}

/** Scores as one digit a case: the scorer knows only right and wrong. */
function record(name, file) {
  const { perCase } = JSON.parse(pare("eval", file, "--task", task, "--json"));
  return { name, sizeBytes: statSync(file).size, scores: perCase.map(({ score }) => score).join("") };
}
