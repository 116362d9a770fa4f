// `pare quantize`: a model with its tensors in fewer bits.
import { type Command, InvalidArgumentError } from "commander";

import type { QuantizeRequest, QuantizeResult } from "../passes/quantize/quantize.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option } from "./options.js";
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
}

export function describeQuantize(program: Command): void {
  const command = program
    .command("quantize")
    .summary("write a model with its tensors in fewer bits")
    .description("Writes a model with its tensors in fewer bits, the same result as llama.cpp's own quantization.")
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
    .addOption(option("--recipe <file>", "recipe to follow, in place of the options above", { completes: "file" }))
    .option("--allow-mismatch", "follow a recipe also with another model or importance data than it was made with")
    .option("--sha256", "print the SHA-256 of the file, too")
    .option("--dry-run", "say what would be written, and write nothing")
    .action(
      perform(async (invocation, options: QuantizeOptions, input: string, output?: string) => {
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
  ]);
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

function renderTypes({ types, tensors }: QuantizeResult): string {
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
