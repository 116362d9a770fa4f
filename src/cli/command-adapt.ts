// `pare adapt`: a model learns a task, as an adapter beside it or in its own weights; or an adapter is merged.
import type { Command } from "commander";

import { UsageError } from "../errors.js";
import type { AdaptRequest } from "../passes/adapt/adapt-settings.js";
import type { AdaptResult } from "../passes/adapt/adapt.js";
import { ADAPTER_TARGETS, type AdapterTarget } from "../passes/adapt/targets.js";
import type { MergedFile } from "../passes/adapt/write-merged.js";
import { formatBytes, formatCount } from "../support/units.js";
import { addRunOptions, runFacts, trainChoice } from "./command-train.js";
import { addExamples } from "./examples.js";
import { type Invocation, perform } from "./invocation.js";
import { argument, number, oneOf, option, wholeNumber } from "./options.js";
import { type RecipeOptions, addRecipeOptions, keepingRecipe, requireRecipeAlone } from "./recipe-options.js";
import { renderFacts } from "./table.js";

interface AdaptCommandOptions
  extends
    RecipeOptions,
    Omit<AdaptRequest, "texts" | "contextLength" | "warmupSteps" | "clipNorm" | "method" | "targets" | "output"> {
  output?: string;
  adapter?: string;
  full?: boolean;
  target?: AdapterTarget[];
  context?: number;
  warmup?: number;
  clip?: number;
}

export function describeAdapt(program: Command): void {
  const command = program
    .command("adapt")
    .summary("teach a model a task, as a LoRA adapter or in its own weights")
    .description(
      "Teaches a model, quantized or not, from text, prompts with completions, or conversations: a LoRA adapter is learned " +
        "beside the model and written as a GGUF file that llama.cpp loads with --lora. Without a text, --adapter is merged into " +
        "the model. Interrupted, the same command goes on from its last checkpoint.",
    )
    .addArgument(argument("[text...]", "files: .jsonl examples, anything else as plain text", "file"));
  addAdapterOptions(command);
  addRunOptions(command, { rate: "5e-4, with --full 1e-4", weightDecay: "0, with --full 0.1" });
  addRecipeOptions(command, "how the model was adapted");
  command.action(
    perform(async (invocation, options: AdaptCommandOptions, texts: string[]) => {
      if (texts.length === 0 && options.recipe === undefined) return mergeAlone(invocation, options);
      if (options.adapter !== undefined)
        throw new UsageError("--adapter is merged, and nothing is learned", { hint: "Leave out the texts" });
      const { adapt } = await import("../passes/adapt/adapt.js");
      const request = await requestOf(invocation, options, texts);
      const result = await keepingRecipe(options, request, () => adapt(request, invocation.runOptions));
      invocation.print(result, () => renderResult(result));
    }),
  );
  addExamples(command, [
    "pare adapt intents.jsonl --model model-q4_0.gguf -o adapter.gguf",
    "pare adapt chats.jsonl --model model-q8_0.gguf --rank 16 --last-layers 12 -o adapter.gguf --merge adapted.gguf",
    "pare adapt --model model-f16.gguf --adapter adapter.gguf --merge adapted.gguf",
    "pare adapt chats.jsonl --model model-f16.gguf --full -o tuned.gguf",
  ]);
}

function addAdapterOptions(command: Command): void {
  const file = { completes: "file" } as const;
  command
    .addOption(option("--model <file>", "GGUF file to adapt", file).makeOptionMandatory())
    .addOption(option("-o, --output <file>", "GGUF file to write: the adapter, with --full the model", file))
    .addOption(option("--merge <file>", "GGUF file to write the model with the adapter merged into it to", file))
    .addOption(option("--adapter <file>", "adapter that is there already, to merge", file))
    .addOption(option("--rank <count>", "rank of the adapter's matrices (default: 8)", { parse: wholeNumber(1, 4096) }))
    .addOption(
      option("--alpha <number>", "the adapter is multiplied by alpha / rank (default: twice the rank)", {
        parse: number(Number.MIN_VALUE, 1e6),
      }),
    )
    .addOption(
      option("--target <kind>", `matrices to adapt: ${ADAPTER_TARGETS.join(", ")}; repeatable (default: all)`, {
        parse: oneOf(ADAPTER_TARGETS),
        completes: ADAPTER_TARGETS,
        repeatable: true,
      }),
    )
    .addOption(
      option("--last-layers <count>", "adapt the last layers alone, which takes less time (default: all)", {
        parse: wholeNumber(1, 1024),
      }),
    )
    .option("--full", "train the model itself, and write it in place of an adapter")
    .addOption(trainChoice("--type <type>", "of the matrices of a whole model (default: f16)", "type"));
}

/** What was asked for, or what a recipe says. */
async function requestOf(
  { threads, runOptions }: Invocation,
  options: AdaptCommandOptions,
  texts: string[],
): Promise<AdaptRequest> {
  const { recipe, saveRecipe: _path, ...rest } = options;
  const { output, model, merge, run } = options;
  if (output === undefined) throw new UsageError("No output is given", { hint: "Add -o adapter.gguf" });
  if (recipe === undefined) return { ...directRequest(rest, output, texts), threads };
  requireRecipeAlone(recipe, options, texts, ["output", "model", "merge", "run"]);
  const { adaptRecipe } = await import("../passes/adapt/adapt-recipe.js");
  return adaptRecipe(recipe, { model, output, merge, run, threads }, runOptions);
}

function directRequest(
  options: Omit<AdaptCommandOptions, keyof RecipeOptions>,
  output: string,
  texts: string[],
): AdaptRequest {
  const { adapter: _adapter, full, target, context, warmup, clip, ...same } = options;
  return {
    ...same,
    output,
    texts,
    method: full ? "full" : "lora",
    targets: target,
    contextLength: context,
    warmupSteps: warmup,
    clipNorm: clip,
  };
}

/** What a merge is told by; anything else would be ignored. */
const MERGE_OPTIONS: ReadonlySet<string> = new Set(["model", "adapter", "merge", "type"]);

async function mergeAlone(invocation: Invocation, options: AdaptCommandOptions): Promise<void> {
  const { model, adapter, merge: output, type } = options;
  if (adapter === undefined || output === undefined)
    throw new UsageError("There is nothing to learn from", {
      hint: "Name a text, or --adapter FILE and --merge OUT to merge an adapter that is there",
    });
  const ignored = Object.keys(options).find((name) => !MERGE_OPTIONS.has(name));
  if (ignored !== undefined)
    throw new UsageError(`"${ignored}" means nothing where an adapter is merged`, { hint: "Leave it out" });
  const { merge } = await import("../passes/adapt/merge.js");
  const merged = await merge({ model, adapter, output, type }, invocation.runOptions);
  invocation.print({ merged }, () => renderFacts([mergedFact(merged)]));
}

function renderResult(result: AdaptResult): string {
  const { adapter, merged } = result;
  return renderFacts([
    ["wrote", `${result.output}, ${formatBytes(result.sizeBytes)}`],
    merged ? mergedFact(merged) : ["merged", undefined],
    [
      "adapter",
      adapter
        ? `rank ${adapter.rank}, alpha ${adapter.alpha}, ${formatCount(adapter.matrices)} matrices from layer ${adapter.firstLayer} on`
        : undefined,
    ],
    ["trained", `${formatCount(result.parameters)} parameters of a ${result.architecture} model`],
    ...runFacts(result),
  ]);
}

function mergedFact({ output, sizeBytes }: MergedFile): [string, string] {
  return ["merged", `${output}, ${formatBytes(sizeBytes)}`];
}
