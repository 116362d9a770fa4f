// `pare calibrate`: what the layers of a model see while they read text.
import { type Command, InvalidArgumentError } from "commander";

import type { CalibrationResult } from "../calibrate/calibrate.js";
import { formatCount, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option, wholeNumber } from "./options.js";
import { printable, renderFacts, renderTable } from "./table.js";

interface CalibrateOptions {
  output: string;
  context?: number;
  chunks?: number;
  hessians?: string;
  hessianTensors?: string;
  experts?: boolean;
  similarity?: boolean;
  processOutput?: boolean;
  parseSpecial?: boolean;
}

export function describeCalibrate(program: Command): void {
  const command = program
    .command("calibrate")
    .summary("measure what the layers see, for quantization")
    .description(
      "Runs text through a model and keeps statistics of what each layer sees: the importance matrix that quantize " +
        "takes, and on request input Hessians, expert counts and the similarity of layer inputs and outputs.",
    )
    .addArgument(argument("<model>", "GGUF file, best at full precision", "file"))
    .addArgument(argument("<text...>", "text files, read in order", "file"))
    .addOption(
      option("-o, --output <file>", "importance file to write; .dat makes the older format", {
        completes: "file",
      }).makeOptionMandatory(),
    )
    .addOption(option("--context <tokens>", "tokens per chunk (default: 512)", { parse: wholeNumber(4, 1 << 20) }))
    .addOption(option("--chunks <count>", "chunks to read at most (default: all)", { parse: wholeNumber(1, 1e9) }))
    .addOption(option("--hessians <file>", "also write each linear layer's input Hessian", { completes: "file" }))
    .addOption(option("--hessian-tensors <pattern>", "Hessians of the weights whose name matches", { parse: pattern }))
    .option("--experts", "also count how often each expert is chosen")
    .option("--similarity", "also measure how similar each layer's input and output are")
    .option("--process-output", "also keep statistics of the output layer")
    .option("--parse-special", "read special tokens in the text as such")
    .action(
      perform(async (invocation, { context, ...options }: CalibrateOptions, model: string, texts: string[]) => {
        const { calibrate } = await import("../calibrate/calibrate.js");
        const request = { ...options, contextLength: context, threads: invocation.threads };
        const result = await calibrate(
          { ...request, model, texts: texts.map((path) => ({ path })) },
          invocation.runOptions,
        );
        for (const warning of result.warnings) invocation.remark(`warning: ${warning}`);
        const { importance, ...document } = result;
        invocation.print({ ...document, weights: importance.entries.size }, () => renderResult(result));
      }),
    );
  addExamples(command, [
    "pare calibrate model-f16.gguf calibration.txt -o model.imatrix.gguf",
    "pare calibrate model-f16.gguf a.txt b.txt --chunks 100 --similarity -o model.imatrix.gguf",
  ]);
}

function pattern(text: string): string {
  try {
    return new RegExp(text).source;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function renderResult({ importance, windows, tokens, seconds, ...rest }: CalibrationResult): string {
  const sections = [
    renderFacts([
      ["wrote", rest.output],
      ["weights", formatCount(importance.entries.size)],
      ["text", `${formatCount(tokens)} tokens in ${formatCount(windows)} chunks of ${formatCount(rest.contextLength)}`],
      ["time", `${formatDuration(seconds * 1000)}, ${formatCount(tokens / seconds)} tokens/s`],
      ["Hessians", rest.hessians && `${rest.hessians.path}, of ${formatCount(rest.hessians.weights)} weights`],
    ]),
  ];
  if (rest.similarity) sections.push(renderSimilarity(rest.similarity));
  if (rest.experts) sections.push(renderExperts(rest.experts));
  return sections.join("\n\n");
}

function renderSimilarity(layers: NonNullable<CalibrationResult["similarity"]>): string {
  const rows = layers.map(({ layer, cosine, blockInfluence }) => [
    String(layer),
    cosine.toFixed(4),
    blockInfluence.toFixed(4),
  ]);
  return renderTable(rows, {
    header: ["layer", "cosine of input and output", "influence"],
    align: ["right", "right", "right"],
  });
}

function renderExperts(layers: NonNullable<CalibrationResult["experts"]>): string {
  if (layers.length === 0) return "The model has no experts";
  const rows = layers.map(({ weight, tokensPerExpert, expertsUnused }) => [
    printable(weight),
    formatCount(tokensPerExpert.length),
    formatCount(expertsUnused),
    formatCount(Math.min(...tokensPerExpert)),
    formatCount(Math.max(...tokensPerExpert)),
  ]);
  const header = ["experts of", "count", "unused", "fewest tokens", "most tokens"];
  return renderTable(rows, { header, align: ["left", "right", "right", "right", "right"] });
}
