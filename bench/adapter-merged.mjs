// Does a LoRA adapter give the same answers beside its model and merged into it? The model is first decoded to f32, so that
// neither side rounds what enters a product, and the merged one is written in f32 as well. With --as-is the model stays in
// its own type and the merged one is written in f16, as a user would have it.
//
//   npm run build && node bench/adapter-merged.mjs --model MODEL.gguf --adapter ADAPTER.gguf --task CASES.jsonl
//     [--cases 300] [--threads 1] [--work FOLDER] [--as-is]
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { evaluateTask } from "../dist/evaluate/run-task.js";
import { merge } from "../dist/passes/adapt/merge.js";
import { quantize } from "../dist/passes/quantize/quantize.js";

const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    adapter: { type: "string" },
    task: { type: "string" },
    cases: { type: "string", default: "300" },
    threads: { type: "string", default: "1" },
    work: { type: "string", default: join(tmpdir(), "pare-merged") },
    "as-is": { type: "boolean", default: false },
  },
});
const { model, adapter, task } = options;
if (!model || !adapter || !task) throw new Error("Give --model, --adapter and --task, see the head of this script");
mkdirSync(options.work, { recursive: true });
const type = options["as-is"] ? "f16" : "f32";
const merged = join(options.work, `merged-${type}.gguf`);
const base = options["as-is"] ? model : join(options.work, "base-f32.gguf");
if (!existsSync(base)) await quantize({ input: model, output: base, type, allowRequantize: true });
await merge({ model: base, adapter, output: merged, type });

const results = [];
for (const which of [{ model: base, adapter }, { model: merged }]) {
  const { score, perCase } = await evaluateTask({
    ...which,
    task,
    cases: Number(options.cases),
    threads: Number(options.threads),
  });
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  console.log(
    `${which.adapter ? "beside the model" : "merged"}: ${percent(score.mean)} (${percent(score.low)} to ${percent(score.high)})`,
  );
  results.push(perCase);
}
const [beside, whole] = results;
const others = beside.filter(({ answer }, i) => answer !== whole[i].answer);
console.log(`The same answers, letter by letter: ${beside.length - others.length} of ${beside.length}`);
for (const { id, answer } of others)
  console.log(
    `  ${id}: ${JSON.stringify(answer)}, merged ${JSON.stringify(whole.find((one) => one.id === id).answer)}`,
  );
