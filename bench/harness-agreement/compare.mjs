// Does Pare choose as lm-evaluation-harness does? The same model in F32, the same task file, flash attention off in both; item by item.
//
//   python -m venv VENV && VENV/bin/pip install 'lm-eval[hf]' gguf
//   VENV/bin/python bench/harness-agreement/unpack-gguf.py ../shared/models/minimind2-small-f16.gguf ../shared/models/minimind2-small-hf MODEL
//   npm run build && node bench/harness-agreement/compare.mjs --model MODEL --rows ../shared/data/arc/ARC-Challenge-Test.jsonl \
//     --python VENV/bin/python --folder WORK
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { convert, evaluateTask, readTask } from "../../dist/index.js";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    rows: { type: "string" },
    python: { type: "string" },
    folder: { type: "string" },
    threads: { type: "string", default: "1" },
  },
});
const { model, rows, python, folder } = values;
if (!model || !rows || !python || !folder) throw new Error("--model, --rows, --python and --folder are needed");

const here = fileURLToPath(new URL(".", import.meta.url));
const task = join(folder, "arc-challenge.yaml");
mkdirSync(folder, { recursive: true });
copyFileSync(join(here, "arc-challenge.yaml"), task);
writeFileSync(join(folder, "arc-challenge.jsonl"), asOnTheHub(readFileSync(rows, "utf8")));

const theirs = join(folder, "harness.json");
if (!existsSync(theirs)) {
  const run = spawnSync(python, [join(here, "run-harness.py"), model, task, theirs], {
    stdio: "inherit",
    env: { ...process.env, HF_HUB_OFFLINE: "1", HF_DATASETS_OFFLINE: "1" },
  });
  if (run.status !== 0) throw new Error(`lm-evaluation-harness failed with exit code ${run.status}`);
}
const gguf = join(folder, "model-f32.gguf");
if (!existsSync(gguf)) await convert({ input: model, output: gguf, type: "f32" });

const { cases } = await readTask(task);
const { perCase, score } = await evaluateTask({ model: gguf, task, threads: Number(values.threads), cacheType: "f32" });
const harness = JSON.parse(readFileSync(theirs, "utf8"));
print(cases, perCase, score, harness);

/** The file of the Allen Institute has questions and choices nested; the hub's rows are flat. */
function asOnTheHub(text) {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const { id, question, answerKey } = JSON.parse(line);
      const { stem, choices } = question;
      const listed = { text: choices.map((one) => one.text), label: choices.map((one) => one.label) };
      return `${JSON.stringify({ id, question: stem, choices: listed, answerKey })}\n`;
    })
    .join("");
}

function print(cases, perCase, score, { items, scores }) {
  const rows = items.map(({ index, logLikelihoods }) => {
    const texts = cases[index].choices.map((text) => text.trimStart());
    return { ours: perCase[index].logLikelihoods, theirs: logLikelihoods, texts, expect: cases[index].expect };
  });
  const perCharacter = (values, texts) => values.map((value, at) => value / texts[at].length);
  const same = (choose) =>
    rows.filter(({ ours, theirs, texts }) => choose(ours, texts) === choose(theirs, texts)).length;
  const right = (choose) =>
    rows.filter(({ ours, texts, expect }) => choose(ours, texts) === expect).length / rows.length;
  const byNorm = (values, texts) => best(perCharacter(values, texts));
  const differences = rows
    .flatMap(({ ours, theirs }) => ours.map((value, at) => Math.abs(value - theirs[at])))
    .sort((a, b) => a - b);
  const share = (count) => `${count} of ${rows.length} (${((100 * count) / rows.length).toFixed(2)} %)`;
  const percent = (value) => `${(100 * value).toFixed(2)} %`;
  console.log("| | Pare | lm-evaluation-harness | same choice |");
  console.log("|---|---|---|---|");
  console.log(`| accuracy | ${percent(score.mean)} | ${percent(scores["acc,none"])} | ${share(same(best))} |`);
  console.log(
    `| accuracy per character | ${percent(right(byNorm))} | ${percent(scores["acc_norm,none"])} | ${share(same(byNorm))} |`,
  );
  console.log(
    `\n${differences.length} log-likelihoods: median difference ${differences[differences.length >> 1].toExponential(1)}, largest ${differences.at(-1).toExponential(1)}`,
  );
}

/** Index of the largest, the first of equals. */
function best(values) {
  return values.indexOf(Math.max(...values));
}
