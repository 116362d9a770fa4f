// `pare compare`: files and endpoints on one task.
import type { Command } from "commander";

import { UsageError } from "../errors.js";
import type { Comparison } from "../compare/summarize.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { JUDGE_PRICE, judgePrices } from "./judge-options.js";
import { argument, number, option, wholeNumber } from "./options.js";
import { printable, renderTable } from "./table.js";
import { SUITE_WORDS, taskPath } from "./task-options.js";

interface CompareOptions {
  task?: string;
  suite?: string;
  out?: string;
  cases?: number;
  maxTokens?: number;
  key?: string[];
  price?: string[];
  judgePrice?: string;
  costCap?: number;
  requestsPerMinute?: number;
  parallel?: number;
  volume?: number;
  investment?: number;
  allowCode?: boolean;
  excludeFaulty?: boolean;
}

export function describeCompare(program: Command): void {
  const command = program
    .command("compare")
    .summary("compare models and endpoints on one task")
    .description(
      "Runs one task through GGUF files and OpenAI-compatible endpoints, and says what each scores, how fast it is, what it costs " +
        "and how it fits in. The first is the one that others are compared with. Run again, it asks only what was not answered yet.",
    )
    .addArgument(argument("<model...>", "GGUF files, or addresses such as http://127.0.0.1:8080/v1#model", []))
    .addOption(
      option("--task <file>", "task: JSON Lines, CSV, Parquet, a YAML header or a folder", { completes: "file" }),
    )
    .addOption(option("--suite <name>", "built-in task, see pare suite", { completes: SUITE_WORDS }))
    .addOption(option("--out <folder>", "folder for the results (default: pare-compare)", { completes: "folder" }))
    .addOption(option("--cases <count>", "cases to run at most", { parse: wholeNumber(1, 1e9) }))
    .addOption(option("--max-tokens <count>", "tokens per answer at most", { parse: wholeNumber(1, 1e6) }))
    .addOption(
      option("--key <name=variable>", "environment variable that holds an endpoint's key; repeatable", {
        repeatable: true,
      }),
    )
    .addOption(
      option("--price <name=in/out>", "dollars per million tokens in and out, or NAME=0.20/h; repeatable", {
        repeatable: true,
      }),
    )
    .addOption(option(...JUDGE_PRICE))
    .addOption(
      option("--cost-cap <dollars>", "what endpoints may cost at most, judges among them", { parse: number(0, 1e9) }),
    )
    .addOption(option("--requests-per-minute <count>", "to each endpoint, at most", { parse: number(0.01, 1e6) }))
    .addOption(
      option("--parallel <count>", "requests to an endpoint at once (default: 4)", { parse: wholeNumber(1, 256) }),
    )
    .addOption(option("--volume <count>", "requests per month, to reckon a return with", { parse: number(0, 1e15) }))
    .addOption(option("--investment <dollars>", "what leaving the first one costs once", { parse: number(0, 1e12) }))
    .option("--allow-code", "run the code that answers or the task's own scorers are")
    .option("--exclude-faulty", "leave out cases that contradict each other or exceed a file's context")
    .action(
      perform(async (invocation, { key, price, judgePrice, ...options }: CompareOptions, contenders: string[]) => {
        const task = taskPath(options);
        if (task === undefined)
          throw new UsageError("No task is given", { hint: "Add --task cases.jsonl or --suite extraction" });
        const { compare } = await import("../compare/compare.js");
        const { suite: _, ...rest } = options;
        const judged = { judgePrices: await judgePrices(judgePrice) };
        const { threads } = invocation;
        const request = { ...rest, ...judged, contenders, task, keys: key, prices: price, threads };
        invocation.goesOn();
        const comparison = await compare(request, invocation.runOptions);
        const { comparisonRows } = await import("../compare/page.js");
        invocation.print(comparison, () =>
          renderComparison(comparison, comparisonRows(comparison.contenders), options.out),
        );
      }),
    );
  addExamples(command, [
    "pare compare lean.gguf model-f16.gguf --suite extraction --cases 100",
    "pare compare cloud=https://api.example.com/v1#big lean.gguf --task cases.jsonl --key cloud=EXAMPLE_KEY --price cloud=0.15/0.60 --price lean=0.20/h --cost-cap 2 --volume 100000",
  ]);
}

function renderComparison({ contenders, notes }: Comparison, rows: string[][], out = "pare-compare"): string {
  const header = ["", ...contenders.map(({ name }) => printable(name))];
  const table = renderTable(
    rows.map((row) => row.map(printable)),
    { header },
  );
  return [table, ...notes.map((note) => `note: ${printable(note)}`), `page: ${out}/comparison.html`].join("\n\n");
}
