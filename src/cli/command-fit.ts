// `pare fit`: the leanest model that fits the device and still does the task.
import type { Command } from "commander";

import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, durationMs, oneOf, option, share, wholeNumber } from "./options.js";

const GOALS = ["size", "latency", "memory"] as const;

interface FitOptions {
  task?: string;
  text?: string;
  device?: string;
  keep?: number;
  minimize?: (typeof GOALS)[number];
  budget?: number;
  out?: string;
  context?: number;
  seed?: number;
  config?: string;
}

export function describeFit(program: Command): void {
  const command = program
    .command("fit")
    .summary("find the leanest model that still does the task")
    .description(
      "Finds the leanest model that fits a device and keeps the quality asked for, proves it on held-out cases or text, " +
        "and writes the model, its recipe, a certificate and a report.",
    )
    .addArgument(argument("[model...]", "GGUF files to start from, best at full precision", "file"))
    .addOption(
      option("--task <file>", "task file: JSON Lines, one case a line", { completes: "file" }).conflicts("text"),
    )
    .addOption(option("--text <file>", "text to keep the perplexity on, instead of a task", { completes: "file" }))
    .addOption(option("--device <name|file>", "what it must run on: a name, a file, or this", { completes: "device" }))
    .addOption(option("--keep <share>", "share of the quality to keep, such as 99%", { parse: share }))
    .addOption(
      option("--minimize <goal>", `what to minimize: ${GOALS.join(", ")}`, { parse: oneOf(GOALS), completes: GOALS }),
    )
    .addOption(option("--budget <time>", "time to spend, such as 90s or 10m", { parse: durationMs }))
    .addOption(option("--out <folder>", "folder for the results", { completes: "folder" }))
    .addOption(option("--context <tokens>", "context length to plan for", { parse: wholeNumber(8, 1 << 24) }))
    .addOption(option("--seed <number>", "seed of every random choice", { parse: wholeNumber(0, 2 ** 32 - 1) }))
    .addOption(
      option("--config <file>", "YAML file that holds the request; options here go before it", { completes: "file" }),
    )
    .addHelpText("after", "\nExit code: 0 ACCEPT, 3 REJECT, 4 INFEASIBLE, 5 NEED_MORE; 1 failure, 2 usage")
    .action(
      perform(async (_invocation, _options: FitOptions, _models: string[]) => {
        throw new Error("not wired yet");
      }),
    );
  addExamples(command, [
    "pare fit model-f16.gguf --text heldout.txt --device laptop-8gb --keep 98% --minimize size --budget 10m --out lean",
    "pare fit a.gguf b.gguf --task cases.jsonl --device this --keep 99% --minimize latency --out lean",
    "pare fit --config pare.yaml --seed 7",
  ]);
}
