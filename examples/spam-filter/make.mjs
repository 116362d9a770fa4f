// From raw mail to a spam filter. A step whose result is there is left out: stopped, the same command
// goes on. Remove out/spam-filter to begin anew.
//
//   npm run build && node examples/spam-filter/make.mjs
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const WORK = "out/spam-filter";
const SHAPE = "--layers 2 --width 256 --heads 4 --kv-heads 2 --feed-forward 768";
const STEPS = "--context 96 --batch 8 --products bf16 --threads 1 --save-every 40";

step("mails.jsonl", () => node("examples/spam-filter/collect.mjs"));
step("vocabulary.gguf", (output) =>
  pare(
    `vocabulary ${WORK}/whole.jsonl --size 4096 --special <|mail|> --special <|label|>
     --chat-template examples/spam-filter/chat.jinja -o ${output}`,
  ),
);
step("test.task.jsonl", () => node("examples/spam-filter/prepare.mjs"));

step("reader.gguf", (output) =>
  pare(
    `train ${WORK}/texts.jsonl --vocabulary ${WORK}/vocabulary.gguf ${SHAPE} ${STEPS} --steps 5000
     --rate 2e-3 --warmup 100 --validate-every 1000 -o ${output}`,
  ),
);
step("labels.gguf", (output) =>
  pare(
    `train ${WORK}/train.jsonl --model ${WORK}/reader.gguf ${STEPS} --steps 900
     --rate 6e-4 --warmup 50 --validation ${WORK}/validation.jsonl --validate-every 150 -o ${output}`,
  ),
);
step("teacher.gguf", (output) => setTemperature(`${WORK}/labels.gguf`, output));

step("learned.gguf", (output) =>
  pare(
    `distill ${WORK}/teacher.gguf ${WORK}/train.jsonl --layers 1 ${STEPS} --steps 120
     --labels 20% --validation ${WORK}/validation.jsonl --validate-every 60 -o ${output}`,
  ),
);
step("student.gguf", (output) => setTemperature(`${WORK}/learned.gguf`, output));

const TASK = `${WORK}/test.task.jsonl`;
step("lean/certificate.json", () => pare(`fit ${WORK}/teacher.gguf --task ${TASK} --keep 98% --out ${WORK}/lean`));
node(
  `examples/spam-filter/measure.mjs teacher=${WORK}/teacher.gguf student=${WORK}/student.gguf fitted=${WORK}/lean/model.gguf`,
);

/** Every command writes its result whole or not at all. */
function step(name, make) {
  if (existsSync(`${WORK}/${name}`)) return console.log(`${name} is there`);
  make(`${WORK}/${name}`);
}

function setTemperature(input, output) {
  node(`examples/spam-filter/set-temperature.mjs ${input} ${WORK}/validation.task.jsonl ${output}`);
}

function pare(line) {
  node(`dist/cli/main.js ${line}`);
}

function node(line) {
  const words = line.split(/\s+/);
  console.log(`\n> node ${words.join(" ")}`);
  const { status, signal } = spawnSync(process.execPath, words, { stdio: "inherit" });
  if (status !== 0) throw new Error(`node ${words[0]} ended with ${signal ?? status}`);
}
