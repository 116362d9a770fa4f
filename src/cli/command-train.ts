// `pare train`: a model learns from text, from where it is or from nothing.
import type { Command } from "commander";

import type { TrainRequest } from "../train/settings.js";
import type { TrainResult } from "../train/train.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";
import { UsageError } from "../errors.js";
import { addExamples } from "./examples.js";
import { type Invocation, perform } from "./invocation.js";
import { argument, number, oneOf, option, share, wholeNumber } from "./options.js";
import { type RecipeOptions, addRecipeOptions, keepingRecipe, requireRecipeAlone } from "./recipe-options.js";
import { renderFacts } from "./table.js";

// The lists stand here and not where they are used, as the command starts without the engine; a test compares them.
export const TRAIN_CHOICES = {
  architecture: ["llama", "qwen2", "qwen3"],
  schedule: ["cosine", "warmup-stable-decay", "constant"],
  optimizer: ["adamw", "adafactor"],
  products: ["f32", "bf16", "f16"],
  type: ["f16", "bf16", "f32"],
} as const;

interface TrainCommandOptions
  extends RecipeOptions, Omit<TrainRequest, "texts" | "shape" | "contextLength" | "warmupSteps" | "clipNorm"> {
  context?: number;
  warmup?: number;
  clip?: number;
  architecture?: (typeof TRAIN_CHOICES.architecture)[number];
  layers?: number;
  width?: number;
  heads?: number;
  kvHeads?: number;
  feedForward?: number;
  ropeBase?: number;
  untied?: boolean;
}

export function describeTrain(program: Command): void {
  const command = program
    .command("train")
    .summary("train a model on text")
    .description(
      "Trains a model on text, prompts with completions, or conversations: one that goes on from a GGUF file, or a new one " +
        "with the vocabulary of a GGUF file. Interrupted, the same command goes on from its last checkpoint.",
    )
    .addArgument(argument("[text...]", "files: .jsonl examples, anything else as plain text", "file"));
  addModelOptions(command);
  addRunOptions(command);
  addRecipeOptions(command, "how a model was trained that went on from another");
  command.action(
    perform(async (invocation, options: TrainCommandOptions, texts: string[]) => {
      const { train } = await import("../train/train.js");
      const request = await requestOf(invocation, options, texts);
      const learn = () => train(request, invocation.runOptions);
      const { saveRecipe } = options;
      const result = saveRecipe === undefined ? await learn() : await keepingRecipe(options, goingOn(request), learn);
      invocation.print(result, () => renderResult(result));
    }),
  );
  addExamples(command, [
    "pare train stories.txt --model stories15M-f16.gguf --steps 200 -o trained.gguf",
    "pare train stories.jsonl --vocabulary tokenizer.gguf --layers 6 --width 288 --heads 6 -o new.gguf",
    "pare train chats.jsonl --model model-f16.gguf --epochs 2 --validation held-out.jsonl --patience 3 -o tuned.gguf",
  ]);
}

function addModelOptions(command: Command): void {
  const count = wholeNumber(1, 1e6);
  command
    .addOption(option("-o, --output <file>", "GGUF file to write", { completes: "file" }).makeOptionMandatory())
    .addOption(option("--model <file>", "GGUF file to go on from", { completes: "file" }))
    .addOption(option("--vocabulary <file>", "GGUF file whose tokenizer a new model takes", { completes: "file" }))
    .addOption(trainChoice("--architecture <name>", "family of a new model (default: llama)", "architecture"))
    .addOption(option("--layers <count>", "of a new model", { parse: wholeNumber(1, 1024) }))
    .addOption(option("--width <count>", "elements of a new model's residual stream", { parse: count }))
    .addOption(option("--heads <count>", "of a new model", { parse: count }))
    .addOption(option("--kv-heads <count>", "heads of keys and values (default: as many)", { parse: count }))
    .addOption(
      option("--feed-forward <count>", "width of the feed-forward part (default: 8/3 of the width)", { parse: count }),
    )
    .addOption(option("--rope-base <number>", "base of the rotation (default: 10000)", { parse: number(1, 1e9) }))
    .option("--untied", "give a new model an output matrix beside its embedding")
    .addOption(trainChoice("--type <type>", "of the written matrices (default: f16)", "type"));
}

/** Options of a run, which `pare adapt` and `pare distill` have, too. */
export function addRunOptions(
  command: Command,
  defaults = { rate: "1e-3 for a new model, else 1e-4", weightDecay: "0.1" },
): void {
  const count = wholeNumber(1, 1e9);
  const positive = number(Number.MIN_VALUE, 1e9);
  const files = { completes: "file", repeatable: true } as const;
  command
    .addOption(option("--steps <count>", "steps of the run (default: what --epochs takes)", { parse: count }))
    .addOption(option("--epochs <number>", "how often the text is seen (default: 1)", { parse: positive }))
    .addOption(
      option("--context <tokens>", "tokens of a sequence (default: 256, or what the model takes)", {
        parse: wholeNumber(2, 1 << 20),
      }),
    )
    .addOption(option("--batch <count>", "sequences of a step (default: 8)", { parse: count }))
    .addOption(
      option("--micro-batch <count>", "sequences computed at once (default: some 1024 tokens)", { parse: count }),
    )
    .addOption(
      option("--rate <number>", `highest learning rate (default: ${defaults.rate})`, {
        parse: positive,
      }),
    )
    .addOption(trainChoice("--schedule <name>", "course of the rate (default: cosine)", "schedule"))
    .addOption(
      option("--warmup <steps>", "steps in which the rate rises (default: a twentieth, 100 at most)", {
        parse: wholeNumber(0, 1e9),
      }),
    )
    .addOption(
      trainChoice("--optimizer <name>", "adafactor takes less memory and more steps (default: adamw)", "optimizer"),
    )
    .addOption(
      option("--weight-decay <number>", `of the matrices (default: ${defaults.weightDecay})`, {
        parse: number(0, 100),
      }),
    )
    .addOption(option("--clip <norm>", "largest norm of the gradients (default: 1)", { parse: positive }))
    .addOption(trainChoice("--products <type>", "type in which weights are multiplied (default: f32)", "products"))
    .option("--recompute", "compute layers again instead of keeping them: less memory, a third more time")
    .addOption(option("--validation <file>", "text to validate on; can be given again", files))
    .addOption(
      option("--validation-share <share>", "else the share of the text kept for it, from its end (default: 5%)", {
        parse: share,
      }),
    )
    .addOption(option("--validate-every <steps>", "steps between validations (default: a twentieth)", { parse: count }))
    .addOption(option("--patience <count>", "end after so many validations without a better one", { parse: count }))
    .addOption(
      option("--save-every <steps>", "steps between checkpoints (default: at each validation)", { parse: count }),
    )
    .addOption(
      option("--run <folder>", "checkpoints and metrics (default: the output with .run)", { completes: "folder" }),
    )
    .addOption(
      option("--seed <number>", "of first weights and order of the text (default: 0)", {
        parse: wholeNumber(0, 2 ** 32 - 1),
      }),
    );
}

/** An option of one of these words. */
export function trainChoice(flags: string, description: string, list: keyof typeof TRAIN_CHOICES) {
  const words = TRAIN_CHOICES[list] as readonly string[];
  return option(flags, `${description}: ${words.join(", ")}`, { parse: oneOf(words), completes: words });
}

/** What was asked for, or what a recipe says. */
async function requestOf(
  { threads, runOptions }: Invocation,
  options: TrainCommandOptions,
  texts: string[],
): Promise<TrainRequest> {
  const { recipe, saveRecipe: _path, ...rest } = options;
  if (recipe === undefined) return { ...directRequest(rest, texts), threads };
  requireRecipeAlone(recipe, options, texts, ["output", "model", "run"]);
  const { output, model, run } = options;
  if (model === undefined) throw new UsageError("A recipe needs a model to go on from", { hint: "Add --model FILE" });
  const { trainRecipe } = await import("../passes/adapt/adapt-recipe.js");
  return trainRecipe(recipe, { model, output, run, threads }, runOptions);
}

/** The same as a recipe has it, which is made for a model. */
function goingOn({ model, vocabulary: _none, shape: _new, ...rest }: TrainRequest) {
  if (model !== undefined) return { ...rest, model, method: "full" as const };
  throw new UsageError("A recipe tells what is made of a model, and a new one is made of none", {
    hint: "Leave --save-recipe out, or go on from a model with --model",
  });
}

function directRequest(options: Omit<TrainCommandOptions, keyof RecipeOptions>, texts: string[]): TrainRequest {
  const { context, warmup, clip, architecture, layers, width, heads, kvHeads, feedForward, ropeBase, untied, ...same } =
    options;
  const isNew = [architecture, layers, width, heads, kvHeads, feedForward, ropeBase, untied].some(
    (value) => value !== undefined,
  );
  return {
    ...same,
    texts,
    contextLength: context,
    warmupSteps: warmup,
    clipNorm: clip,
    shape: isNew
      ? {
          architecture: architecture ?? "llama",
          layers: layers ?? 0,
          width: width ?? 0,
          heads: heads ?? 0,
          kvHeads,
          feedForward,
          ropeBase,
          isTied: !untied,
        }
      : undefined,
  };
}

function renderResult(result: TrainResult): string {
  return renderFacts([
    ["wrote", `${result.output}, ${formatBytes(result.sizeBytes)}`],
    ["model", `${result.architecture}, ${formatCount(result.parameters)} parameters`],
    ...runFacts(result),
  ]);
}

/** What there is to say of any run. */
export function runFacts(result: TrainResult): [string, string | undefined][] {
  const { settings, loss, validation } = result;
  const stopped = result.stopped === "finished" ? "" : ", ended early as validation got no better";
  return [
    ["steps", `${formatCount(result.steps)}, ${result.epochs.toPrecision(3)} epochs${stopped}`],
    ["went on from", result.resumedFrom > 0 ? `step ${formatCount(result.resumedFrom)}` : undefined],
    ["loss", loss ? `${loss.first.toFixed(4)} at first, ${loss.last.toFixed(4)} at last` : undefined],
    [
      "validation",
      validation
        ? `${validation.loss.toFixed(4)} nats per token at step ${formatCount(validation.step)}, perplexity ${validation.perplexity.toFixed(3)}`
        : "none",
    ],
    ["time", `${formatDuration(result.seconds * 1000)}, ${formatCount(Math.round(result.tokensPerSecond))} tokens/s`],
    ["memory", formatBytes(result.memoryBytes)],
    ["seed", String(settings.seed)],
    ["metrics", result.metrics],
  ];
}
