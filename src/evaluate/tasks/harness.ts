// Tasks of lm-evaluation-harness (github.com/EleutherAI/lm-evaluation-harness, docs/task_guide.md): multiple choice and
// generation, as their YAML says. What it can't say without Python (`!function`, other metrics and filters) is refused by name.
import { dirname, join } from "node:path";

import { FormatError } from "../../errors.js";
import { type Task, type TaskDefaults, type TaskRow, taskOf } from "../task.js";
import { type HarnessDataset, type HarnessYaml, harnessSchema } from "./harness-schema.js";
import type { ReadFiles } from "./read-task.js";
import { type TaskHeader, located } from "./task-header.js";
import { readRows } from "./task-rows.js";
import { type Row, RowTemplate, filled } from "./template.js";
import { parseYaml } from "./yaml-file.js";

/**
 * Reads a task of the harness.
 *
 * @param place its YAML, or the header that names it with `harness`
 * @throws {FormatError} when it wants what only Python can do, or its data is not in a file
 */
export async function readHarnessTask(
  place: string,
  header: TaskHeader,
  files: ReadFiles,
  defaults: TaskDefaults,
): Promise<Omit<Task, "sha256">> {
  const path = header.harness === undefined ? place : join(dirname(place), header.harness);
  const yaml = checkHarness(await withIncludes(path, files), path);
  const toCase = filled("task", () => caseMaker(yaml, header.metric ?? metricOf(yaml)));
  const shots = header.fewShot ?? yaml.num_fewshot ?? 0;
  const data = await dataOf(place, path, header, yaml, files, shots > 0);
  if (shots > data.shown.length) {
    throw refusal(path, `it shows ${shots} examples, and there are ${data.shown.length}`, 'Name some with "examples"');
  }
  const examples = data.shown
    .slice(0, shots)
    .map(({ line, value }) => located(path, line, () => exampleText(toCase(value as Row), yaml)));
  const before = (yaml.description ?? "") + examples.join("");
  const rows = data.rows.slice(0, header.limits?.cases).map(({ line, value }) => ({
    line,
    value: located(data.path, line, () => {
      const { prompt, ...rest } = toCase(value as Row);
      return { ...rest, prompt: before + prompt };
    }),
  }));
  const task = taskOf(rows, { ...defaults, maxTokens: header.maxTokens ?? defaults.maxTokens, path });
  return { ...task, name: header.name ?? yaml.task ?? task.name };
}

/** `include` names a file whose keys hold where this one has none. */
async function withIncludes(path: string, files: ReadFiles, depth = 0): Promise<Record<string, unknown>> {
  const { include, ...own } = parseYaml((await files.read(path)).toString("utf8"), path);
  if (include === undefined) return own;
  if (depth > 8 || typeof include !== "string") throw refusal(path, "its includes never end");
  return { ...(await withIncludes(join(dirname(path), include), files, depth + 1)), ...own };
}

function checkHarness(yaml: Record<string, unknown>, path: string): HarnessYaml {
  const python = Object.entries(yaml).find(
    ([, value]) => typeof value === "object" && value !== null && "functionName" in value,
  );
  if (python) {
    throw refusal(
      path,
      `"${python[0]}" is a Python function, which Pare does not run`,
      "Write the cases as JSON Lines, or choose a task without !function",
    );
  }
  const parsed = harnessSchema.safeParse(yaml);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw refusal(path, `"${issue.path.join(".")}": ${issue.message}`);
}

/** The rows to ask and those to show: files that the header names, else those of the task. */
async function dataOf(
  place: string,
  path: string,
  header: TaskHeader,
  yaml: HarnessYaml,
  files: ReadFiles,
  isShowing: boolean,
): Promise<{ path: string; rows: TaskRow[]; shown: TaskRow[] }> {
  const split = yaml.test_split ?? yaml.validation_split ?? yaml.training_split ?? "test";
  const own = dataFiles(yaml);
  const rowsPath = header.cases ? join(dirname(place), header.cases) : own[split] && join(dirname(path), own[split]);
  if (!rowsPath) {
    throw refusal(
      path,
      `its data, "${yaml.dataset_path ?? "none"}", is not in a file`,
      "Write a task.yaml with: harness: FILE.yaml, and cases: ROWS.jsonl (or .parquet, as the hub has them)",
    );
  }
  const { examples } = header;
  const shownSplit = yaml.fewshot_split ?? yaml.training_split;
  const shownPath =
    typeof examples === "string"
      ? join(dirname(place), examples)
      : shownSplit && own[shownSplit] && shownSplit !== split && join(dirname(path), own[shownSplit]);
  return {
    path: rowsPath,
    rows: await readRows(rowsPath, files),
    shown: Array.isArray(examples)
      ? examples.map((value, index) => ({ line: index + 1, value }))
      : isShowing && shownPath
        ? await readRows(shownPath, files)
        : [],
  };
}

function dataFiles({ dataset_kwargs: { data_files: files } = {}, test_split = "test" }: HarnessYaml): HarnessDataset {
  return typeof files === "string" ? { [test_split]: files } : (files ?? {});
}

/** A case as Pare writes it. */
interface HarnessCase {
  prompt: string;
  [field: string]: unknown;
}

type CaseMaker = (row: Row) => HarnessCase;

function caseMaker(yaml: HarnessYaml, metric: string): CaseMaker {
  const prompt = field(yaml.doc_to_text, "text");
  const target = field(yaml.doc_to_target, "value");
  const gap = yaml.target_delimiter;
  if (yaml.output_type !== "multiple_choice") {
    const scoring = generationScoring(yaml);
    return (row) => ({ prompt: String(prompt(row)), expect: textOf(target(row)), ...scoring });
  }
  const choices = field(yaml.doc_to_choice!, "value");
  return (row) => {
    const texts = choices(row);
    if (!Array.isArray(texts)) throw new Error('"doc_to_choice" gives no list');
    const answer = target(row);
    const expect = typeof answer === "number" ? answer : indexOf(texts, String(answer));
    if (!(expect in texts)) throw new Error(`"doc_to_target" gives ${JSON.stringify(answer)}, which is no choice`);
    const [, question, space] = /^(.*?)(\s*)$/su.exec(String(prompt(row)))!; // the harness moves white space to the choice
    return {
      prompt: question!,
      choices: texts.map((text) => space + gap + String(text)),
      expect,
      normalize: metric === "acc_norm" ? "characters" : "none",
    };
  };
}

function indexOf(texts: readonly unknown[], answer: string): number {
  const at = texts.findIndex((text) => String(text) === answer);
  return at < 0 && /^\d+$/u.test(answer) ? Number(answer) : at;
}

/** Scorer and limits of a task that generates. */
function generationScoring({
  generation_kwargs: given = {},
  filter_list,
  metric_list,
  fewshot_delimiter,
}: HarnessYaml): Record<string, unknown> {
  const regex = filter_list?.flatMap(({ filter }) => filter).find((one) => one.function === "regex");
  const ignoreCase = metric_list?.some((one) => one.ignore_case) ?? false;
  return {
    stop: [given.until ?? fewshot_delimiter].flat(),
    ...(given.max_gen_toks === undefined ? {} : { maxTokens: given.max_gen_toks }),
    ...(regex?.regex_pattern === undefined ? { scorer: "exact", ignoreCase } : { pattern: regex.regex_pattern }),
  };
}

function metricOf({ metric_list: list = [] }: HarnessYaml): string {
  return list[0]?.metric ?? "acc";
}

/** A field of the task: a column's name, a template, a list of texts, or a number. */
function field(source: HarnessYaml["doc_to_target"], as: "text" | "value"): (row: Row) => unknown {
  if (typeof source !== "string") return () => source;
  const template = new RowTemplate(source);
  return (row) => {
    if (source in row) return row[source];
    return as === "text" ? template.text(row) : template.value(row);
  };
}

function textOf(value: unknown): string {
  return Array.isArray(value) ? String(value[0]) : String(value);
}

function exampleText(
  { prompt, expect, choices }: HarnessCase,
  { target_delimiter: gap, fewshot_delimiter: end }: HarnessYaml,
): string {
  const answer = Array.isArray(choices) ? String(choices[Number(expect)]) : gap + String(expect);
  return `${prompt}${answer}${end}`;
}

function refusal(path: string, problem: string, hint?: string): FormatError {
  return new FormatError(path, `Cannot read task "${path}": ${problem}`, hint === undefined ? {} : { hint });
}
