// Records what files of many sizes score on 3 000 cases of the home-commands task, so that what sequential evaluation saves can be
// measured without running them again. Some ten minutes of one core.
//
//   npm run build && node bench/proof/record-scores.mjs [TYPE…] > bench/proof/home-commands-scores.json
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const source = join(root, "models/home-commands-f16.gguf");
const types = process.argv.length > 2 ? process.argv.slice(2) : ["tq1_0", "iq1_S", "iq2_XXS", "q2_K", "q4_0"];
const folder = mkdtempSync(join(tmpdir(), "pare-scores-"));
const task = join(folder, "task.jsonl");
const importance = join(folder, "importance.gguf");

const pare = (...args) =>
  execFileSync(process.execPath, [join(root, "dist/cli/main.js"), ...args, "--threads", "1", "--quiet"], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });

try {
  execFileSync(process.execPath, [join(root, "scripts/home-commands/generate.mjs"), "3000", task]);
  const calibration = join(root, "models/home-commands-calibration.txt");
  pare("calibrate", source, calibration, "--parse-special", "--output", importance);
  const cases = readFileSync(task, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const models = [record("f16", source), ...types.map(recordType)];
  const tags = [...new Set(cases.flatMap((one) => one.tags))];
  const document = {
    made: "bench/proof/record-scores.mjs",
    tags,
    cases: cases.map((one) => one.tags.map((tag) => tags.indexOf(tag).toString(36)).join("")).join(" "),
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
