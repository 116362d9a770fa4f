// `pare eval`: how good a model is, on text or on a task.
import type { Command } from "commander";

import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option, wholeNumber } from "./options.js";

interface EvalOptions {
  text?: string[];
  task?: string;
  against?: string;
  saveBaseline?: string;
  context?: number;
  windows?: number;
  scorer?: string;
  cases?: number;
  maxTokens?: number;
  parallel?: number;
}

const SCORERS = ["exact", "contains", "regex", "choice", "json"];

export function describeEval(program: Command): void {
  const command = program
    .command("eval")
    .summary("measure a model on text or on a task")
    .description(
      "Measures a model: on text by perplexity and, against a baseline, KL divergence; on a task by the scores of its cases.",
    )
    .addArgument(argument("<model>", "GGUF file", "file"))
    .addOption(
      option("--text <file...>", "text files to measure perplexity on", { completes: "file" }).conflicts("task"),
    )
    .addOption(option("--task <file>", "task file: JSON Lines, one case a line", { completes: "file" }))
    .addOption(option("--against <file>", "baseline: a model, or what --save-baseline wrote", { completes: "file" }))
    .addOption(
      option("--save-baseline <file>", "with --text: keep this model's logits as a baseline", { completes: "file" }),
    )
    .addOption(option("--context <tokens>", "tokens per window, or of the context", { parse: wholeNumber(8, 1 << 20) }))
    .addOption(option("--windows <count>", "with --text: windows to read at most", { parse: wholeNumber(1, 1e9) }))
    .addOption(option("--scorer <name>", "with --task: scorer of cases that name none", { completes: SCORERS }))
    .addOption(option("--cases <count>", "with --task: cases to run at most", { parse: wholeNumber(1, 1e9) }))
    .addOption(option("--max-tokens <count>", "with --task: tokens per answer at most", { parse: wholeNumber(1, 1e6) }))
    .addOption(option("--parallel <count>", "with --task: cases run side by side", { parse: wholeNumber(1, 256) }))
    .action(
      perform(async (_invocation, _options: EvalOptions, _model: string) => {
        throw new Error("not wired yet");
      }),
    );
  addExamples(command, [
    "pare eval model-q4.gguf --text heldout.txt --against model-f16.gguf",
    "pare eval model-f16.gguf --text heldout.txt --save-baseline f16.baseline",
    "pare eval model-q4.gguf --task cases.jsonl --against model-f16.gguf --json",
  ]);
}
