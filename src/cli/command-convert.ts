// `pare convert`: a Hugging Face checkpoint as a GGUF file.
import type { Command } from "commander";

import type { ConvertResult } from "../convert/convert.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option } from "./options.js";
import { printable, renderFacts } from "./table.js";

const TYPES = ["f32", "f16", "bf16", "q8_0"] as const;

export function describeConvert(program: Command): void {
  const command = program
    .command("convert")
    .summary("make a GGUF file of a Hugging Face checkpoint")
    .description(
      "Makes a GGUF file of a Hugging Face checkpoint: the tensors, metadata and tokens that llama.cpp's own converter makes, without " +
        "Python. One tensor at a time is in memory. Licence, origin and revision travel in the file.",
    )
    .addArgument(
      argument("<model>", "folder with config.json, tokenizer and safetensors; or org/name on the hub", "folder"),
    )
    .addArgument(argument("<out>", "GGUF file to write", "file"))
    .addOption(
      option("-t, --type <type>", "type of the matrices (default: that of the checkpoint)", { completes: TYPES }),
    )
    .option("--revision <revision>", "branch, tag or commit of a model on the hub (default: main)")
    .option(
      "--pre-tokenizer <name>",
      "llama.cpp's name of what splits text into words, for a tokenizer that is not known",
    )
    .action(
      perform(async (invocation, options: ConvertOptions, input: string, output: string) => {
        const { convert } = await import("../convert/convert.js");
        const result = await convert({ input, output, ...options }, invocation.runOptions);
        for (const warning of result.warnings) invocation.remark(`warning: ${warning}`);
        invocation.print(result, () => render(result));
      }),
    );
  addExamples(command, [
    "pare convert HuggingFaceTB/SmolLM2-135M-Instruct smollm2.gguf",
    "pare convert ./my-finetune my-finetune-f16.gguf --type f16",
  ]);
}

interface ConvertOptions {
  type?: string;
  revision?: string;
  preTokenizer?: string;
}

function render(result: ConvertResult): string {
  const { path, name, architecture, tensors, parameters, sizeBytes, type, license, source, revision } = result;
  return renderFacts([
    ["wrote", printable(path)],
    ["model", `${name === undefined ? "" : `${printable(name)}, `}${architecture}`],
    ["parameters", `${formatCount(parameters)} in ${formatCount(tensors)} tensors`],
    ["size", `${formatBytes(sizeBytes)}, matrices in ${type}`],
    ["licence", license && printable(license)],
    ["from", source && `${printable(source)}${revision === undefined ? "" : ` at ${revision}`}`],
    ["SHA-256", result.sha256],
    ["time", formatDuration(result.seconds * 1000)],
  ]);
}
