// Tasks of lm-evaluation-harness: what is read as it means there, and what is refused.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { readTask } from "./read-task.js";

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "pare-harness-"))));
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Record<string, string>): string {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return join(folder, Object.keys(files)[0]!);
}

const ROWS = [
  { question: "What melts?", choices: { text: ["ice", "stone"], label: ["A", "B"] }, answerKey: "A" },
  { question: "What flies?", choices: { text: ["fish", "birds"], label: ["1", "2"] }, answerKey: "2" },
]
  .map((row) => JSON.stringify(row))
  .join("\n");
const ARC = `
task: arc
dataset_path: json
dataset_kwargs: { data_files: { test: rows.jsonl, train: shots.jsonl } }
training_split: train
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{choices.label.index(answerKey)}}"
doc_to_choice: "{{choices.text}}"
metric_list:
  - metric: acc
  - metric: acc_norm
`;

test("multiple choice: the first metric says how choices are compared, a space goes before each", async () => {
  const task = await readTask(write({ "arc.yaml": ARC, "rows.jsonl": ROWS }));
  expect(task.name).toBe("arc");
  expect(task.cases).toMatchObject([
    { prompt: "Question: What melts?\nAnswer:", choices: [" ice", " stone"], expect: 0, normalize: "none" },
    { prompt: "Question: What flies?\nAnswer:", choices: [" fish", " birds"], expect: 1 },
  ]);
});

test("examples of the training split stand before each question, in the harness's form", async () => {
  const path = write({ "arc.yaml": `${ARC}num_fewshot: 1\ndescription: "Answer.\\n"\n`, "rows.jsonl": ROWS });
  write({ "shots.jsonl": ROWS.split("\n")[1]!.replace("flies", "swims").replace('"2"}', '"1"}') });
  expect((await readTask(path)).cases[0]!.prompt).toBe(
    "Answer.\nQuestion: What swims?\nAnswer: fish\n\nQuestion: What melts?\nAnswer:",
  );
});

test("a header names the rows of a task whose data is on the hub, and the metric", async () => {
  const hub = ARC.replace(/dataset_path: json\ndataset_kwargs.*\n/, "dataset_path: allenai/ai2_arc\n");
  await expect(readTask(write({ "arc.yaml": hub }))).rejects.toThrow(/its data, "allenai\/ai2_arc", is not in a file/);
  const path = write({ "task.yaml": "harness: arc.yaml\ncases: rows.jsonl\nmetric: acc_norm\n", "rows.jsonl": ROWS });
  const task = await readTask(path);
  expect(task.cases[0]).toMatchObject({ normalize: "characters" });
  expect(task.files).toHaveLength(3);
});

test("generation: stop texts, tokens and the regular expression of a filter", async () => {
  const yaml = `
include: base.yaml
task: sums
doc_to_text: question
doc_to_target: "{{answer}}"
filter_list:
  - name: strict
    filter:
      - { function: regex, regex_pattern: "#### (\\\\d+)" }
      - { function: take_first }
`;
  const base = `
dataset_path: json
dataset_kwargs: { data_files: rows.jsonl }
output_type: generate_until
generation_kwargs: { until: ["\\n\\n", "Q:"], max_gen_toks: 64, do_sample: false, temperature: 0.0 }
metric_list: [{ metric: exact_match }]
`;
  const path = write({ "sums.yaml": yaml, "base.yaml": base, "rows.jsonl": '{"question": "Q: 1 + 1", "answer": 2}\n' });
  const { cases } = await readTask(path);
  expect(cases).toMatchObject([
    { prompt: "Q: 1 + 1", expect: "2", pattern: "#### (\\d+)", scorer: "regex", stop: ["\n\n", "Q:"], maxTokens: 64 },
  ]);
});

test.each([
  [
    "a Python function",
    "process_docs: !function utils.process\n",
    /"process_docs" is a Python function, which Pare does not run/,
  ],
  ["another kind of output", "output_type: loglikelihood_rolling\n", /only "multiple_choice" and "generate_until"/],
  ["a metric that is not known", "metric_list: [{ metric: bleu }]\n", /Pare knows acc, acc_norm, exact_match/],
  [
    "texts to ignore",
    "metric_list: [{ metric: exact_match, regexes_to_ignore: [x] }]\n",
    /regexes_to_ignore": Pare can't follow this/,
  ],
  ["another filter", "filter_list: [{ filter: [{ function: lowercase }] }]\n", /Pare knows regex, take_first/],
  ["no choices", "doc_to_choice: null\n", /"doc_to_choice"/],
  [
    "a target that is no choice",
    'doc_to_target: "{{answerKey}}"\n',
    /rows.jsonl": line 1: "doc_to_target" gives "A", which is no choice/,
  ],
  ["too few examples", "num_fewshot: 5\ntraining_split: null\n", /it shows 5 examples, and there are 0/],
])("a task with %s is refused", async (_what, change, message) => {
  const key = change.split(":", 1)[0]!;
  const lines = ARC.split("\n").filter(
    (line) => !line.startsWith(`${key}:`) && !(key === "metric_list" && line.startsWith("  - metric")),
  );
  const text = `${lines.filter((line) => !change.includes("training_split") || !line.startsWith("training_split")).join("\n")}\n${change.replace("training_split: null\n", "")}`;
  await expect(readTask(write({ "arc.yaml": text, "rows.jsonl": ROWS }))).rejects.toThrow(message);
});
