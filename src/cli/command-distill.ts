// `pare distill`: a small model learns from a large one.
import type { Command } from "commander";

import type { DistillResult } from "../passes/distill/result.js";
import type { DistillRequest } from "../passes/distill/settings.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";
import { addRunOptions, trainChoice } from "./command-train.js";
import { addExamples } from "./examples.js";
import { type Invocation, perform } from "./invocation.js";
import { argument, number, oneOf, option, share, wholeNumber } from "./options.js";
import { type RecipeOptions, addRecipeOptions, requireRecipeAlone } from "./recipe-options.js";
import { renderFacts } from "./table.js";

// The list stands here and not where it is used, as the command starts without the engine; a test compares them.
export const LOSSES = ["forward-kl", "reverse-kl", "jensen-shannon"] as const;

interface DistillCommandOptions
  extends
    RecipeOptions,
    Omit<DistillRequest, "teacher" | "texts" | "shape" | "contextLength" | "warmupSteps" | "clipNorm" | "divergence"> {
  new?: boolean;
  width?: number;
  heads?: number;
  kvHeads?: number;
  feedForward?: number;
  loss?: (typeof LOSSES)[number];
  context?: number;
  warmup?: number;
  clip?: number;
}

export function describeDistill(program: Command): void {
  const command = program
    .command("distill")
    .summary("have a small model learn from a large one")
    .description(
      "Distils a teacher into a student: one that is given, cut from the teacher to its best layers, or new. The teacher reads " +
        "text, or writes it, and what it expects at each token goes to disk; from there the student learns it. Interrupted, " +
        "the same command goes on where it was.",
    )
    .addArgument(argument("<teacher>", "GGUF file, or address of an OpenAI-compatible endpoint", "file"))
    .addArgument(argument("[text...]", "files: .jsonl examples, anything else as plain text", "file"));
  addStudentOptions(command);
  addTeacherOptions(command);
  addRunOptions(command);
  addRecipeOptions(command, "how the student was made");
  command.action(
    perform(async (invocation, options: DistillCommandOptions, teacher: string, texts: string[]) => {
      const { distill } = await import("../passes/distill/distill.js");
      const request = await requestOf(invocation, options, teacher, texts);
      await requireRecipe(options, request);
      const result = await distill(request, invocation.runOptions);
      if (options.saveRecipe !== undefined) await saveRecipe(options.saveRecipe, request, result);
      for (const warning of result.warnings) invocation.remark(warning);
      invocation.print(result, () => renderResult(result));
    }),
  );
  addExamples(command, [
    "pare distill stories15M-f16.gguf --layers 3 --sample 1000000 -o student.gguf",
    "pare distill teacher.gguf text.txt --student small.gguf --labels 20% -o student.gguf",
    "pare distill http://localhost:8080/v1 prompts.jsonl --student small.gguf -o student.gguf",
    "pare distill teacher.gguf text.txt --new --layers 4 --width 256 --heads 8 --guard other.txt -o student.gguf",
  ]);
}

function addStudentOptions(command: Command): void {
  const count = wholeNumber(1, 1e6);
  command
    .addOption(option("-o, --output <file>", "GGUF file to write", { completes: "file" }).makeOptionMandatory())
    .addOption(option("--student <file>", "GGUF file of the student", { completes: "file" }))
    .addOption(
      option("--layers <count>", "cut the student from the teacher, to the layers whose loss is lowest", {
        parse: wholeNumber(1, 1024),
      }),
    )
    .option("--new", "a student with weights by chance, of --layers, --width and --heads")
    .addOption(option("--width <count>", "elements of the residual stream of a cut or a new student", { parse: count }))
    .addOption(option("--heads <count>", "of a cut or a new student", { parse: count }))
    .addOption(option("--kv-heads <count>", "of a new student (default: as many)", { parse: count }))
    .addOption(
      option(
        "--feed-forward <count>",
        "width of the feed-forward part (default: the teacher's, or 8/3 of a new width)",
        {
          parse: count,
        },
      ),
    )
    .addOption(trainChoice("--type <type>", "of the written matrices (default: f16)", "type"));
}

function addTeacherOptions(command: Command): void {
  const positive = number(Number.MIN_VALUE, 1e9);
  command
    .addOption(option("--teacher-model <name>", "the endpoint's model (default: its first)"))
    .addOption(
      option("--answer-tokens <count>", "tokens of an endpoint's answer at most (default: those of a sequence)", {
        parse: wholeNumber(1, 1e6),
      }),
    )
    .addOption(option("--sample <tokens>", "tokens of text that the teacher writes", { parse: wholeNumber(1, 1e12) }))
    .addOption(option("--sample-temperature <number>", "of its writing (default: 1)", { parse: positive }))
    .addOption(
      option("--loss <name>", `what to lower (default: forward-kl): ${LOSSES.join(", ")}`, {
        parse: oneOf(LOSSES),
        completes: LOSSES,
      }),
    )
    .addOption(option("--temperature <number>", "logits of both are divided by it (default: 1)", { parse: positive }))
    .addOption(
      option("--labels <share>", "share of cross-entropy on the text itself in the loss (default: 0%)", {
        parse: share,
      }),
    )
    .addOption(
      option("--hidden <weight>", "of the distance between last hidden states, for a student as wide (default: 0)", {
        parse: number(0, 1e9),
      }),
    )
    .addOption(
      option("--top <count>", "tokens that are kept of the teacher's expectation (default: 32)", {
        parse: wholeNumber(1, 1024),
      }),
    )
    .addOption(
      option("--on-policy <steps>", "have the student write the text of so many steps itself, again and again", {
        parse: wholeNumber(1, 1e9),
      }),
    )
    .option("--freeze-embeddings", "leave embedding and output matrix as they are: faster where they are large")
    .addOption(
      option("--guard <file>", "text of another kind, where the student must not get further from the teacher", {
        completes: "file",
        repeatable: true,
      }),
    )
    .addOption(
      option("--guard-tolerance <share>", "how much further than at its nearest (default: 5%)", { parse: share }),
    )
    .addOption(
      option("--bar <nats>", "validation loss to reach: estimates how many tokens that takes", { parse: positive }),
    );
}

/** What was asked for, or what a recipe says. */
async function requestOf(
  invocation: Invocation,
  options: DistillCommandOptions,
  teacher: string,
  texts: string[],
): Promise<DistillRequest> {
  const { recipe, saveRecipe: _path, ...rest } = options;
  const { threads } = invocation;
  if (recipe === undefined) return { ...directRequest(rest, teacher, texts), threads };
  requireRecipeAlone(recipe, options, texts, ["output", "run"]);
  const { output, run } = options;
  const { distillRecipe } = await import("../passes/distill/distill-recipe.js");
  return distillRecipe(recipe, { teacher, output, run, threads }, invocation.runOptions);
}

/** Tells before the long run that its recipe could not be written. */
async function requireRecipe({ saveRecipe: path }: RecipeOptions, request: DistillRequest): Promise<void> {
  if (path === undefined) return;
  const { teacher, student, output, texts = [], validation = [], guard = [] } = request;
  const { requireRecipeOutput } = await import("../passes/learning-recipe.js");
  await requireRecipeOutput(path, { written: [output], read: [teacher, student, ...texts, ...validation, ...guard] });
}

async function saveRecipe(path: string, request: DistillRequest, { teacher }: DistillResult): Promise<void> {
  const { writeDistillRecipe } = await import("../passes/distill/distill-recipe.js");
  await writeDistillRecipe(path, request, teacher.sha256);
}

function directRequest(
  options: Omit<DistillCommandOptions, "recipe" | "saveRecipe">,
  teacher: string,
  texts: string[],
): DistillRequest {
  const { context, warmup, clip, loss, new: isNew, width, heads, kvHeads, feedForward, layers, ...same } = options;
  const parts = { width: width ?? 0, heads: heads ?? 0, kvHeads, feedForward };
  const isNarrow = !isNew && [width, heads, feedForward].some((count) => count !== undefined);
  return {
    ...same,
    teacher,
    texts,
    contextLength: context,
    warmupSteps: warmup,
    clipNorm: clip,
    divergence: loss,
    ...(isNew
      ? { shape: { architecture: "llama", layers: layers ?? 0, ...parts } }
      : { layers, ...(isNarrow && { narrow: { width, heads, feedForward } }) }),
  };
}

function renderResult(result: DistillResult): string {
  const { student, taught, validation, guard, bar, cost, settings } = result;
  const nats = (value: number): string => `${value.toFixed(4)} nats`;
  const time = ({ seconds, processorSeconds }: DistillResult["cost"]["learning"]): string =>
    `${formatDuration(seconds * 1000)} (${formatDuration(processorSeconds * 1000)} of processors)`;
  return renderFacts([
    ["wrote", `${result.output}, ${formatBytes(result.sizeBytes)}`],
    ["student", `${result.architecture}, ${formatCount(result.parameters)} parameters, ${originOf(student)}`],
    [
      "teacher's text",
      `${formatCount(taught.targets)} tokens, ${formatBytes(taught.sizeBytes)}, ${(taught.restMean * 100).toPrecision(2)} % of probability outside its lists`,
    ],
    ["steps", `${formatCount(result.steps)}, ${result.epochs.toPrecision(3)} epochs${ENDINGS[result.stopped]}`],
    ["went on from", result.resumedFrom > 0 ? `step ${formatCount(result.resumedFrom)}` : undefined],
    [
      "validation",
      validation
        ? `${validation.loss.toFixed(4)} nats per token at step ${formatCount(validation.step)}, ${validation.lossBefore.toFixed(4)} before`
        : "none",
    ],
    ["from the teacher", validation?.divergence == null ? undefined : `${nats(validation.divergence)} per token`],
    [
      "of the teacher",
      validation?.lossOfTeacher == null
        ? undefined
        : `${nats(validation.lossOfTeacher)} per token; ${((validation.gapClosed ?? 0) * 100).toFixed(1)} % of the gap closed`,
    ],
    ["guard", guard ? `${nats(guard.best)} from the teacher, ${nats(guard.before)} before` : undefined],
    ["bar", bar ? barText(bar) : undefined],
    [
      "time",
      `teacher ${time(cost.teaching)}, ${cost.cutting ? `layers ${time(cost.cutting)}, ` : ""}student ${time(cost.learning)}`,
    ],
    ["memory", formatBytes(result.memoryBytes)],
    ["seed", String(settings.seed)],
    ["metrics", result.metrics],
  ]);
}

const ENDINGS: Record<DistillResult["stopped"], string> = {
  finished: "",
  "no longer better": ", ended early as validation got no better",
  "worse elsewhere": ", ended early as it got further from the teacher on the guard's text",
};

function originOf({ origin, layers }: DistillResult["student"]): string {
  return layers ? `layers ${layers.join(", ")} of the teacher` : origin;
}

function barText({ loss, isReached, estimate }: NonNullable<DistillResult["bar"]>): string {
  const wanted = `${loss} nats per token ${isReached ? "reached" : "not reached"}`;
  if (!estimate) return `${wanted}; too few validations to say how many tokens it takes`;
  if (estimate.tokens === undefined) return `${wanted}; the loss seems to level off at ${estimate.floor.toFixed(4)}`;
  return `${wanted}; some ${formatCount(Number(estimate.tokens.toPrecision(2)))} tokens reach it`;
}
