// `pare quantize`: a model with its tensors in fewer bits.
import { type Command, InvalidArgumentError } from "commander";

import { UsageError } from "../errors.js";
import type { CalibratedRequest, CalibratedResult } from "../fit/allocate/quantize-calibrated.js";
import { METHOD_PARTS } from "../passes/quantize/method-parts.js";
import type { QuantizeRequest, QuantizeResult } from "../passes/quantize/quantize.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import type { Invocation } from "./invocation.js";
import { argument, option, wholeNumber } from "./options.js";
import { cacheFacts } from "./cache-facts.js";
import { printable, renderFacts, renderTable } from "./table.js";

interface QuantizeOptions {
  type?: string;
  imatrix?: string;
  tensorType?: { pattern: string; type: string }[];
  tokenEmbeddingType?: string;
  outputTensorType?: string;
  pure?: boolean;
  leaveOutputTensor?: boolean;
  allowRequantize?: boolean;
  recipe?: string;
  allowMismatch?: boolean;
  sha256?: boolean;
  dryRun?: boolean;
  calibrate?: string[];
  size?: string;
  kvCache?: string;
  effort?: CalibratedRequest["effort"];
  minimize?: CalibratedRequest["minimize"];
  table?: string;
  saveRecipe?: string;
  context?: number;
  parseSpecial?: boolean;
  without?: CalibratedRequest["without"];
  recover?: boolean;
}

/** Options that say something only beside --calibrate. */
const CALIBRATED_ONLY = [
  "size",
  "kvCache",
  "effort",
  "minimize",
  "table",
  "saveRecipe",
  "context",
  "parseSpecial",
  "without",
  "recover",
] as const;
/** Options that say nothing beside it: they describe llama.cpp's own quantization. */
const PLAIN_ONLY = ["imatrix", "recipe", "allowMismatch", "sha256"] as const;

export function describeQuantize(program: Command): void {
  const command = program
    .command("quantize")
    .summary("write a model with its tensors in fewer bits")
    .description(
      "Writes a model with its tensors in fewer bits. With --type alone the result is that of llama.cpp's own quantization. With " +
        "--calibrate, text runs through the model and every tensor is rounded so that its answers change least; with --size, too, " +
        "each tensor gets the type that serves the whole best.",
    )
    .addArgument(argument("<in>", "GGUF file to read; of a split model any part", "file"))
    .addArgument(argument("[out]", "GGUF file to write; not needed with --dry-run", "file"))
    .addOption(option("-t, --type <type>", "preset or ggml type, such as q4_K_M or q8_0", { completes: "preset" }))
    .addOption(
      option("--imatrix <file>", "importance file, from pare calibrate or llama-imatrix", { completes: "file" }),
    )
    .addOption(
      option("--tensor-type <pattern=type>", "type of the tensors whose name the pattern matches; repeatable", {
        parse: patternAndType,
        repeatable: true,
      }),
    )
    .addOption(option("--token-embedding-type <type>", "type of the token embedding", { completes: "tensor-type" }))
    .addOption(option("--output-tensor-type <type>", "type of the output layer", { completes: "tensor-type" }))
    .option("--pure", "one type for all matrices, without the preset's mixture")
    .option("--leave-output-tensor", "leave the output layer as it is")
    .option("--allow-requantize", "also quantize tensors that are quantized already, which costs quality")
    .addOption(
      option("--recipe <file>", "recipe to follow, in place of all that it says itself", { completes: "file" }),
    )
    .option(
      "--allow-mismatch",
      "follow a recipe also with another model, text, statistics or importance data than it was made with",
    )
    .addOption(
      option("--calibrate <file>", "text that shows what the model is used for, or statistics of one; repeatable", {
        completes: "file",
        repeatable: true,
      }),
    )
    .option(
      "--size <size>",
      "with --calibrate: size of the file, such as 4.2bpw, 38MB, -30%, or DEVICE@4096, whose memory the KV cache shares",
    )
    .option(
      "--kv-cache <bytes@tokens>",
      "with --calibrate: most bytes of KV cache at a context length, such as 16MB@4096",
    )
    .addOption(
      option("--effort <level>", "with --calibrate: how much time to take").choices(["fast", "default", "high"]),
    )
    .addOption(
      option("--minimize <what>", "with --size: weigh the time of a token, too, or not").choices(["size", "latency"]),
    )
    .addOption(
      option("--table <file>", "with --size: measurements, read where the file is there, else written", {
        completes: "file",
      }),
    )
    .addOption(
      option("--save-recipe <file>", "with --calibrate: write how the file was made, for --recipe", {
        completes: "file",
      }),
    )
    .addOption(option("--context <tokens>", "with --calibrate: tokens per window", { parse: wholeNumber(16, 1 << 20) }))
    .option("--parse-special", "with --calibrate: read <|im_start|> and the like in the text as control tokens")
    .addOption(
      option(`--without <part>`, "with --calibrate: leave a part of the method out, to see its worth; repeatable", {
        repeatable: true,
        completes: METHOD_PARTS,
      }),
    )
    .option("--recover", "with --calibrate: after rounding, train what the types leave free on the text")
    .option("--sha256", "print the SHA-256 of the file, too")
    .option("--dry-run", "say what would be written, and write nothing")
    .action(
      perform(async (invocation, options: QuantizeOptions, input: string, output?: string) => {
        if (options.calibrate) return quantizeWithText(invocation, options, input, output);
        refuse(options, CALIBRATED_ONLY, "matters only beside --calibrate", "Add --calibrate text.txt");
        if (await isCalibrated(options)) return followWithText(invocation, options, input, output);
        const { quantize } = await import("../passes/quantize/quantize.js");
        const request = { ...requestOf(options, input, output), threads: invocation.threads };
        const result = await quantize(request, invocation.runOptions);
        for (const warning of result.warnings) invocation.remark(`warning: ${warning}`);
        invocation.print(result, () => renderResult(result, options.dryRun ? undefined : output));
      }),
    );
  addExamples(command, [
    "pare quantize model-f16.gguf model-q4.gguf --type q4_K_M --imatrix model.imatrix.gguf",
    "pare quantize model-f16.gguf small.gguf --type q4_K_M --tensor-type ffn_down=q6_K --token-embedding-type q8_0",
    "pare quantize model-f16.gguf --type iq4_xs --dry-run",
    "pare quantize model-f16.gguf lean.gguf --size 4.2bpw --calibrate my-texts.txt",
    "pare quantize model-f16.gguf lean.gguf --type q4_K_M --calibrate my-texts.txt",
  ]);
}

/** Whether there is a recipe that calibrates; what can't stand beside a recipe is refused before it is read. */
async function isCalibrated(options: QuantizeOptions): Promise<boolean> {
  if (options.recipe === undefined) return false;
  const { requireRecipeAlone } = await import("../passes/quantize/recipe-alone.js");
  requireRecipeAlone(requestOf(options, "", undefined), options.recipe);
  const { isCalibratedRecipe } = await import("../fit/allocate/calibrated-recipe.js");
  return isCalibratedRecipe(options.recipe);
}

async function followWithText(
  invocation: Invocation,
  options: QuantizeOptions,
  input: string,
  output: string | undefined,
): Promise<void> {
  refuse(options, ["sha256", "dryRun"], "has no meaning beside a recipe that calibrates", "Leave it out");
  const { recipe, allowMismatch } = options;
  return carryOut(invocation, { input, output, recipe, allowMismatch, threads: invocation.threads });
}

async function quantizeWithText(
  invocation: Invocation,
  options: QuantizeOptions,
  input: string,
  output: string | undefined,
): Promise<void> {
  refuse(options, PLAIN_ONLY, "has no meaning beside --calibrate", "Leave one of them out");
  const unknown = options.without?.find((part) => !(METHOD_PARTS as readonly string[]).includes(part));
  if (unknown !== undefined) {
    throw new UsageError(`"${unknown}" is no part of the method`, { hint: `Choose of ${METHOD_PARTS.join(", ")}` });
  }
  const { calibrate, size, kvCache, effort, minimize, table, saveRecipe, context, parseSpecial, without, recover } =
    options;
  return carryOut(invocation, {
    input,
    output,
    calibrate,
    size,
    kvCache,
    type: options.type,
    tensorTypes: options.tensorType,
    tokenEmbeddingType: options.tokenEmbeddingType,
    outputType: options.outputTensorType,
    pure: options.pure,
    keepOutput: options.leaveOutputTensor,
    effort,
    minimize,
    table,
    saveRecipe,
    contextLength: context,
    parseSpecial,
    without,
    recover,
    dryRun: options.dryRun,
    threads: invocation.threads,
  });
}

async function carryOut(invocation: Invocation, request: CalibratedRequest): Promise<void> {
  const { quantizeCalibrated } = await import("../fit/allocate/quantize-calibrated.js");
  const result = await quantizeCalibrated(request, invocation.runOptions);
  for (const warning of result.warnings) invocation.remark(`warning: ${warning}`);
  invocation.print(result, () => renderCalibrated(result, request.dryRun ? undefined : request.output));
}

/** Says which of the options given can't stand here. */
function refuse(
  options: QuantizeOptions,
  names: readonly (keyof QuantizeOptions)[],
  complaint: string,
  hint: string,
): void {
  const given = names.find((name) => options[name] !== undefined);
  if (given === undefined) return;
  throw new UsageError(`--${given.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} ${complaint}`, {
    hint,
  });
}

function requestOf(options: QuantizeOptions, input: string, output: string | undefined): QuantizeRequest {
  return {
    input,
    output,
    type: options.type,
    importance: options.imatrix,
    tensorTypes: options.tensorType,
    tokenEmbeddingType: options.tokenEmbeddingType,
    outputType: options.outputTensorType,
    pure: options.pure,
    keepOutput: options.leaveOutputTensor,
    allowRequantize: options.allowRequantize,
    recipe: options.recipe,
    allowMismatch: options.allowMismatch,
    hash: options.sha256,
    dryRun: options.dryRun,
  };
}

function patternAndType(text: string): { pattern: string; type: string } {
  const at = text.lastIndexOf("=");
  if (at < 1 || at === text.length - 1)
    throw new InvalidArgumentError("Write a pattern and a type, like ffn_down=q6_K");
  return { pattern: text.slice(0, at), type: text.slice(at + 1) };
}

function renderResult(result: QuantizeResult, output: string | undefined): string {
  const sections = [
    renderFacts([
      ["wrote", output ?? "nothing, as this was a dry run"],
      ["size", `${formatBytes(result.sizeBytes)}, ${result.bitsPerWeight.toFixed(2)} bits per weight`],
      ["time", formatDuration(result.seconds * 1000)],
      ["SHA-256", result.sha256],
    ]),
    renderTypes(result),
  ];
  const fallbacks = result.tensors.filter(({ fallbackFrom }) => fallbackFrom);
  if (fallbacks.length > 0) sections.push(renderFallbacks(fallbacks));
  return sections.join("\n\n");
}

function renderCalibrated(result: CalibratedResult, output: string | undefined): string {
  const { predictedDivergence, statisticsTokens, table, statistics, recovery } = result.calibration;
  const facts = renderFacts([
    ["wrote", output ?? "nothing, as this was a dry run"],
    ["size", `${formatBytes(result.sizeBytes)}, ${result.bitsPerWeight.toFixed(2)} bits per weight`],
    ...divergenceFacts(result.calibration),
    ["recovered", recovery && recoveryFact(recovery)],
    ["foreseen", predictedDivergence === undefined ? undefined : `${predictedDivergence.toFixed(5)} nats per token`],
    ["text", statisticsTokens === undefined ? undefined : `${formatCount(statisticsTokens)} tokens of calibration`],
    ["statistics", statistics],
    ["measured", table],
    ...cacheFacts(result, output ?? "OUT.gguf"),
    ["time", formatDuration(result.seconds * 1000)],
  ]);
  return [facts, renderTypes(result)].join("\n\n");
}

function recoveryFact({
  step,
  steps,
  before,
  after,
}: NonNullable<CalibratedResult["calibration"]["recovery"]>): string {
  if (step === 0) return `nothing in ${steps} steps: ${before.toFixed(5)} stays the best`;
  return `from ${before.toFixed(5)} to ${after.toFixed(5)} nats per token, by step ${step} of ${steps}`;
}

/** Nothing of a dry run, which rounds by nothing. */
function divergenceFacts({ divergence, statistics }: CalibratedResult["calibration"]): [string, string][] {
  if (!divergence) return statistics === undefined ? [] : [["divergence", "not measured, as no text was given"]];
  const { mean, standardError, tokens, sameTopRate } = divergence;
  return [
    ["divergence", `${mean.toFixed(5)} ± ${standardError.toFixed(5)} nats per token`],
    ["", `of ${formatCount(tokens)} tokens, ${(100 * sameTopRate).toFixed(1)} % have the same likeliest next token`],
  ];
}

function renderTypes({ types, tensors }: Pick<QuantizeResult, "types" | "tensors">): string {
  const rows = Object.entries(types).map(([type, count]) => {
    const sizeBytes = tensors
      .filter((tensor) => tensor.type === type)
      .reduce((sum, tensor) => sum + tensor.sizeBytes, 0);
    return [type, formatCount(count), formatBytes(sizeBytes)];
  });
  return renderTable(rows, { header: ["type", "tensors", "size"], align: ["left", "right", "right"] });
}

const FALLBACKS_SHOWN = 8;

function renderFallbacks(tensors: QuantizeResult["tensors"]): string {
  const shown = tensors
    .slice(0, FALLBACKS_SHOWN)
    .map((tensor) => [
      `  ${printable(tensor.name)}`,
      `rows of ${formatCount(tensor.shape[0] ?? 0)}`,
      `${tensor.fallbackFrom} → ${tensor.type}`,
    ]);
  const more = tensors.length > FALLBACKS_SHOWN ? `\n  and ${formatCount(tensors.length - FALLBACKS_SHOWN)} more` : "";
  return `Rows that don't divide into the type's blocks fell back to another type:\n${renderTable(shown)}${more}`;
}
