// What distillation is worth.
//
//   npm run build
//   node bench/distill.mjs seeds TEACHER.gguf [--layers 2] [--seeds 3]        # distilled beside trained on the labels alone
//   node bench/distill.mjs gap TEACHER.gguf --heldout TEXT [--layers 3]       # how much of the gap to its teacher a cut student closes
//
// seeds: one student, one order of one text that the teacher wrote, one number of tokens; only the loss differs. Held-out is text
// that the teacher wrote and nobody learned; looked at once, after the last step.
//
// gap: the teacher writes, the student is cut to its best layers and learns, with processor and clock time of each part. The gap is
// measured afterwards by llama.cpp, on text that had no part in it: its first half chose the weights, its second is measured.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { distill, evaluateText, quantize } from "../dist/index.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    layers: { type: "string" },
    seeds: { type: "string", default: "3" },
    heldout: { type: "string" },
    sample: { type: "string" },
    steps: { type: "string" },
    batch: { type: "string", default: "8" },
    context: { type: "string" },
    rate: { type: "string" },
    "validate-every": { type: "string" },
    "freeze-embeddings": { type: "boolean", default: false },
    products: { type: "string", default: "f32" },
    threads: { type: "string", default: "1" },
    work: { type: "string", default: "distill-bench" },
  },
});
const [part, teacher] = positionals;
const threads = Number(values.threads);
mkdirSync(values.work, { recursive: true });
const at = (name) => join(values.work, name);
const common = {
  batch: Number(values.batch),
  products: values.products,
  threads,
  ...(values.rate && { rate: Number(values.rate) }),
};

if (part === "seeds") await compareSeeds();
else if (part === "gap") await closeGap();
else throw new Error("Name what to measure: seeds or gap");

async function compareSeeds() {
  const rows = [];
  for (let seed = 0; seed < Number(values.seeds); seed++) {
    const losses = {};
    for (const [name, labels] of [
      ["labels", 1],
      ["distilled", 0],
    ]) {
      const result = await distill({
        ...common,
        teacher,
        layers: Number(values.layers ?? 2),
        sample: Number(values.sample ?? 100_000),
        steps: Number(values.steps ?? 200),
        contextLength: Number(values.context ?? 128),
        validateEvery: 1e9,
        labels,
        seed,
        run: at(`seed-${seed}-${name}.run`),
        output: at(`seed-${seed}-${name}.gguf`),
      });
      const last = readFileSync(result.metrics, "utf8").trim().split("\n").map(JSON.parse).at(-1);
      losses[name] = last.validationLoss;
      losses.before = result.validation.lossBefore;
      losses.teacher = result.validation.lossOfTeacher;
      console.error(JSON.stringify({ seed, name, tokens: result.tokens, ...losses, ...result.cost.learning }));
    }
    rows.push({ seed, ...losses, gain: losses.labels - losses.distilled });
  }
  const gains = rows.map(({ gain }) => gain);
  const mean = gains.reduce((a, b) => a + b, 0) / gains.length;
  const deviation = Math.sqrt(gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / (gains.length - 1));
  console.table(rows);
  console.log(`gain ${mean.toFixed(4)} nats, deviation over ${gains.length} seeds ${deviation.toFixed(4)}`);
}

async function closeGap() {
  const lines = readFileSync(values.heldout, "utf8").split("\n");
  const middle = Math.floor(lines.length / 2);
  writeFileSync(at("chooses.txt"), lines.slice(0, middle).join("\n"));
  const measured = lines.slice(middle).join("\n");
  const source = at("teacher-q8_0.gguf");
  await quantize({ input: teacher, output: source, type: "q8_0" });
  const request = {
    ...common,
    teacher: source,
    layers: Number(values.layers ?? 3),
    sample: Number(values.sample ?? 500_000),
    contextLength: Number(values.context ?? 256),
    validation: [at("chooses.txt")],
    ...(values.steps && { steps: Number(values.steps) }),
    ...(values["validate-every"] && { validateEvery: Number(values["validate-every"]) }),
    freezeEmbeddings: values["freeze-embeddings"],
    type: "f32",
    run: at("student.run"),
    output: at("student.gguf"),
  };
  const started = performance.now();
  const result = await distill(request, { onMetrics: (line) => "validationLoss" in line && console.error(line) });
  const { layers } = result.student;
  const lossOf = async (model) =>
    Math.log((await evaluateText({ model, texts: [measured], contextLength: 256, threads })).perplexity.mean);
  const losses = {
    teacher: await lossOf(teacher),
    cut: await lossOf(join(request.run, "student.gguf")),
    distilled: await lossOf(request.output),
  };
  const closed = (losses.cut - losses.distilled) / (losses.cut - losses.teacher);
  console.table(
    result.student.tried
      .toSorted((a, b) => a.loss - b.loss)
      .map((choice) => ({ layers: choice.layers.join(" "), loss: choice.loss })),
  );
  console.table(losses);
  console.table(result.cost);
  const cores = Object.values(result.cost).reduce((sum, cost) => sum + (cost?.processorSeconds ?? 0), 0);
  console.log(
    `layers ${layers.join(", ")}: ${(closed * 100).toFixed(1)} % of the gap closed with ${result.tokens} tokens`,
  );
  console.log(
    `${(cores / 60).toFixed(1)} minutes of processors, ${((performance.now() - started) / 60_000).toFixed(1)} on the clock`,
  );
  rmSync(source);
}
