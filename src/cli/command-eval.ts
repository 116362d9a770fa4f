// `pare eval`: how good a model is, on text or on a task.
import type { Command } from "commander";

import { UsageError } from "../errors.js";
import type { JudgeSpending } from "../evaluate/judge/judge-cost.js";
import type { TaskResult } from "../evaluate/run-task.js";
import type { TextResult } from "../evaluate/text.js";
import type { Journal } from "../fit/journal.js";
import { refuseReplacing } from "../support/files.js";
import { readText } from "../support/read-text.js";
import { formatCount, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import { type Invocation, perform } from "./invocation.js";
import { JUDGE_PRICE, judgePrices } from "./judge-options.js";
import { argument, number, option, wholeNumber } from "./options.js";
import { printable, renderFacts, renderTable } from "./table.js";
import { SCORER_WORDS, SUITE_WORDS, taskPath } from "./task-options.js";

interface EvalOptions {
  text?: string[];
  task?: string;
  adapter?: string;
  suite?: string;
  against?: string;
  saveBaseline?: string;
  context?: number;
  windows?: number;
  repack?: boolean;
  scorer?: string;
  cases?: number;
  maxTokens?: number;
  parallel?: number;
  excludeFaulty?: boolean;
  repeats?: number;
  temperature?: number;
  allowCode?: boolean;
  judgeJournal?: string;
  judgePrice?: string;
  costCap?: number;
}

const FAILURES_SHOWN = 10;
const PARTS_SHOWN = 12;
const TEXT_COLUMNS = 44;

export function describeEval(program: Command): void {
  const command = program
    .command("eval")
    .summary("measure a model on text or on a task")
    .description(
      "Measures a model: on text by perplexity and, against a baseline, KL divergence; on a task by the scores of its cases.",
    )
    .addArgument(argument("<model>", "GGUF file", "file"))
    .addArgument(argument("[text...]", "further text files, after --text", "file"))
    .addOption(
      option("--text <file>", "text to measure perplexity on; repeatable", { completes: "file", repeatable: true }),
    )
    .addOption(
      option("--task <file>", "task: JSON Lines, CSV, Parquet, a YAML header or a folder", {
        completes: "file",
      }).conflicts("text"),
    )
    .addOption(option("--adapter <file>", "LoRA adapter of the model; a baseline has none", { completes: "file" }))
    .addOption(option("--suite <name>", "built-in task, see pare suite", { completes: SUITE_WORDS }).conflicts("text"))
    .addOption(option("--against <file>", "baseline: a model, or what --save-baseline wrote", { completes: "file" }))
    .addOption(
      option("--save-baseline <file>", "with --text: keep the baseline's logits, or this model's without --against", {
        completes: "file",
      }),
    )
    .addOption(
      option("--context <tokens>", "tokens per window, with --task of the context", { parse: wholeNumber(8, 1 << 20) }),
    )
    .addOption(option("--windows <count>", "with --text: windows to read at most", { parse: wholeNumber(1, 1e9) }))
    .option("--repack", "rearrange weights for speed, which changes the results of some types a little")
    .addOption(option("--scorer <name>", "with --task: scorer of cases that name none", { completes: SCORER_WORDS }))
    .addOption(option("--cases <count>", "with --task: cases to run at most", { parse: wholeNumber(1, 1e9) }))
    .addOption(option("--max-tokens <count>", "with --task: tokens per answer at most", { parse: wholeNumber(1, 1e6) }))
    .option("--exclude-faulty", "with --task: leave out cases that contradict each other or exceed the context")
    .addOption(
      option("--repeats <count>", "with --task: ask each case so often, with answers drawn at random", {
        parse: wholeNumber(1, 1000),
      }),
    )
    .addOption(option("--temperature <number>", "with --repeats (default: 0.7)", { parse: number(0, 10) }))
    .option("--allow-code", "with --task: run the code that answers or the task's own scorers are")
    .addOption(option("--parallel <count>", "with --task: cases run side by side", { parse: wholeNumber(1, 256) }))
    .addOption(
      option("--judge-journal <file>", "keep what judges say there, and don't ask the same again", {
        completes: "file",
      }),
    )
    .addOption(option(...JUDGE_PRICE))
    .addOption(option("--cost-cap <dollars>", "what judges at endpoints may cost at most", { parse: number(0, 1e9) }))
    .action(
      perform(async (invocation, options: EvalOptions, model: string, furtherTexts: string[]) => {
        if (options.text) return evalText(invocation, options, model, [...options.text, ...furtherTexts]);
        if (furtherTexts.length > 0) {
          throw new UsageError(`"${furtherTexts[0]}" is one argument too many`, { hint: "Texts follow --text" });
        }
        const task = taskPath(options);
        if (task !== undefined) return evalTask(invocation, options, model, task);
        throw new UsageError("Nothing to measure on is given", {
          hint: "Add --text heldout.txt, --task cases.jsonl or --suite extraction",
        });
      }),
    );
  addExamples(command, [
    "pare eval model-q4.gguf --text heldout.txt --against model-f16.gguf",
    "pare eval model-f16.gguf --text heldout.txt --save-baseline f16.baseline",
    "pare eval model-q4.gguf --task cases.jsonl --against model-f16.gguf --json",
    "pare eval model-q4.gguf --suite robustness",
  ]);
}

async function evalText(invocation: Invocation, options: EvalOptions, model: string, paths: string[]): Promise<void> {
  refuseOptions("--text", {
    "--scorer": options.scorer,
    "--cases": options.cases,
    "--max-tokens": options.maxTokens,
    "--parallel": options.parallel,
    "--exclude-faulty": options.excludeFaulty,
    "--repeats": options.repeats,
    "--temperature": options.temperature,
    "--allow-code": options.allowCode,
    "--judge-journal": options.judgeJournal,
    "--judge-price": options.judgePrice,
    "--cost-cap": options.costCap,
  });
  if (options.saveBaseline !== undefined) await refuseReplacing(options.saveBaseline, paths);
  const { evaluateText } = await import("../evaluate/text.js");
  const request = {
    model,
    adapter: options.adapter,
    texts: await Promise.all(paths.map((path) => readText(path, invocation.runOptions.signal))),
    contextLength: options.context,
    windows: options.windows === undefined ? undefined : { count: options.windows },
    against: options.against,
    baselineFile: options.saveBaseline,
    repack: options.repack,
    threads: invocation.threads,
  };
  const result = await evaluateText(request, invocation.runOptions);
  invocation.print(result, () => renderText(result));
}

async function evalTask(invocation: Invocation, options: EvalOptions, model: string, path: string): Promise<void> {
  refuseOptions("--task", { "--windows": options.windows, "--save-baseline": options.saveBaseline });
  const { evaluateTask } = await import("../evaluate/run-task.js");
  if (options.judgeJournal !== undefined) await refuseReplacing(options.judgeJournal, [model, path]);
  await using journal = await openJudgeJournal(options);
  const request = {
    model,
    adapter: options.adapter,
    task: path,
    against: options.against,
    scorer: options.scorer,
    cases: options.cases,
    maxTokens: options.maxTokens,
    contextLength: options.context,
    parallel: options.parallel,
    excludeFaulty: options.excludeFaulty,
    repeats: options.repeats,
    temperature: options.temperature,
    allowCode: options.allowCode,
    repack: options.repack,
    threads: invocation.threads,
    judging: { memory: journal, spending: await judgeSpending(options) },
  };
  const result = await evaluateTask(request, invocation.runOptions);
  for (const { line, reason } of result.contradictions ?? []) invocation.remark(`Line ${line}: ${reason}`);
  for (const { line, reason } of result.excluded ?? []) invocation.remark(`Left out line ${line}: ${reason}`);
  invocation.print(result, () => renderTask(result));
}

async function openJudgeJournal({ judgeJournal }: EvalOptions): Promise<Journal | undefined> {
  return judgeJournal === undefined ? undefined : (await import("../fit/journal.js")).Journal.open(judgeJournal);
}

async function judgeSpending({ costCap, judgePrice }: EvalOptions): Promise<JudgeSpending> {
  const { JudgeSpending } = await import("../evaluate/judge/judge-cost.js");
  const { CostCap } = await import("../evaluate/endpoint/cost-cap.js");
  return new JudgeSpending(new CostCap(costCap), await judgePrices(judgePrice));
}

/** An option that would be ignored is a misunderstanding. */
function refuseOptions(what: string, given: Record<string, unknown>): void {
  const name = Object.keys(given).find((flag) => given[flag] !== undefined);
  if (name)
    throw new UsageError(`${name} means nothing with ${what}`, { hint: "Run pare eval --help for what goes together" });
}

function renderText(result: TextResult): string {
  const { perplexity, baselinePerplexity, klDivergence, sameTopRate, probabilityChange } = result;
  return renderFacts([
    ["perplexity", plusMinus(perplexity, 4)],
    ["baseline's perplexity", baselinePerplexity && plusMinus(baselinePerplexity, 4)],
    ["KL divergence", klDivergence && plusMinus(klDivergence, 6)],
    ["  median", klDivergence && klDivergence.median.toFixed(6)],
    ["  99th percentile", klDivergence && klDivergence.p99.toFixed(6)],
    ["same top token", sameTopRate === undefined ? undefined : `${(100 * sameTopRate).toFixed(2)}%`],
    [
      "change of probability",
      probabilityChange && `${percent(probabilityChange.mean)} ± ${percent(probabilityChange.standardError)}`,
    ],
    ["tokens scored", `${formatCount(result.tokens)}, in windows of ${formatCount(result.contextLength)}`],
    ["speed", `${formatCount(result.tokensPerSecond)} tokens/s`],
  ]);
}

function renderTask(result: TaskResult): string {
  const { score, baseline, failures, unscored, speed, worstTag, calibration, confusion, repeats, parts, judge } =
    result;
  const halfAnswered = calibration?.abstention.find(({ coverage }) => coverage === 0.5);
  const sections = [
    renderFacts([
      ["score", score ? renderScore(score) : "nothing could be scored"],
      ["baseline's score", baseline?.score ? renderScore(baseline.score) : undefined],
      [
        "cases",
        `${formatCount(result.cases)} scored${unscored.length > 0 ? `, ${formatCount(unscored.length)} could not be` : ""}`,
      ],
      ["worst tag", worstTag && `${printable(worstTag.tag)}, ${renderScore(worstTag)}, intervals of all tags at once`],
      ["judge", judge && renderJudge(judge)],
      ["macro-F1", confusion && percentOf(confusion.macroF1)],
      [
        `right ${repeats?.count} times in a row`,
        repeats && `${percentOf(repeats.passPower.at(-1)!)}, at least once ${percentOf(repeats.passAny)}`,
      ],
      ["sometimes right", repeats && percentOf(repeats.flickerRate)],
      ["calibration error", calibration && `${(100 * calibration.expectedCalibrationError).toFixed(1)}%`],
      ["Brier score", calibration && calibration.brierScore.toFixed(3)],
      ["surest half alone", halfAnswered && `${(100 * halfAnswered.score).toFixed(1)}%`],
      ["answers", `${formatCount(speed.answerTokens)} tokens in ${formatDuration(speed.seconds * 1000)}`],
    ]),
  ];
  const tags = Object.entries(result.tags).map(([tag, one]) => [
    printable(tag),
    renderScore(one),
    formatCount(one.cases),
  ]);
  if (tags.length > 0)
    sections.push(renderTable(tags, { header: ["tag", "score", "cases"], align: ["left", "left", "right"] }));
  if (parts !== undefined) sections.push(renderParts(parts));
  if (confusion !== undefined) sections.push(renderConfusion(confusion));
  if (failures.length > 0) sections.push(renderFailures(failures));
  return sections.filter((text) => text !== "").join("\n\n");
}

/** How far a judge can be trusted. */
function renderJudge({ judges, unclear, order }: NonNullable<TaskResult["judge"]>): string {
  const steady =
    order &&
    `both orders agree on ${percentOf(order.agreement)} of ${formatCount(order.pairs)}` +
      (order.kappa === null ? "" : `, kappa ${order.kappa.toFixed(2)}`);
  const silent = unclear > 0 ? `${formatCount(unclear)} without a verdict` : undefined;
  return [printable(judges.join(", ")), steady, silent].filter((text) => text !== undefined).join("; ");
}

/** The parts that are most often wrong. */
function renderParts(parts: NonNullable<TaskResult["parts"]>): string {
  const rows = Object.entries(parts)
    .sort(([, a], [, b]) => a.mean - b.mean)
    .slice(0, PARTS_SHOWN)
    .map(([name, { mean, cases }]) => [
      printable(name === "" ? "whole answer" : name),
      percentOf(mean),
      formatCount(cases),
    ]);
  return renderTable(rows, { header: ["part", "right", "cases"], align: ["left", "right", "right"] });
}

/** The labels that are most often taken for another. */
function renderConfusion({ labels, matrix, perLabel }: NonNullable<TaskResult["confusion"]>): string {
  const names = [...labels, "none"];
  const mistakes = matrix
    .flatMap((row, at) =>
      row.map((count, found) => ({ expected: labels[at]!, found: names[found]!, count, at, to: found })),
    )
    .filter(({ count, at, to }) => count > 0 && at !== to)
    .sort((a, b) => b.count - a.count);
  const rows = mistakes
    .slice(0, PARTS_SHOWN)
    .map(({ expected, found, count }) => [
      printable(expected),
      printable(found),
      `${count} of ${perLabel[expected]!.cases}`,
    ]);
  return rows.length === 0 ? "" : renderTable(rows, { header: ["label", "taken for", "cases"] });
}

function percentOf(value: number): string {
  return `${(100 * value).toFixed(1)}%`;
}

function renderFailures(failures: TaskResult["failures"]): string {
  const rows = failures
    .slice(0, FAILURES_SHOWN)
    .map(({ id, expected, answer }) => [printable(id), shortened(expected), shortened(answer)]);
  const more =
    failures.length > FAILURES_SHOWN
      ? `\nand ${formatCount(failures.length - FAILURES_SHOWN)} more; --json has all`
      : "";
  return `${renderTable(rows, { header: ["failed", "expected", "answer"] })}${more}`;
}

function renderScore({ mean, low, high }: { mean: number; low: number; high: number }): string {
  return `${(100 * mean).toFixed(1)}% (${(100 * low).toFixed(1)}% to ${(100 * high).toFixed(1)}%)`;
}

function shortened(text: string): string {
  const line = printable(text.trim().replace(/\s+/g, " "));
  return [...line].length > TEXT_COLUMNS ? `${[...line].slice(0, TEXT_COLUMNS - 1).join("")}…` : line;
}

function plusMinus({ mean, standardError }: { mean: number; standardError: number }, digits: number): string {
  return `${mean.toFixed(digits)} ± ${standardError.toFixed(digits)}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(3)}%`;
}
