// `pare quantize`: a model with its tensors in fewer bits.
import { type Command, InvalidArgumentError } from "commander";

import { formatBytes, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option } from "./options.js";
import { renderFacts, renderTable } from "./table.js";

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
  dryRun?: boolean;
}

export function describeQuantize(program: Command): void {
  const command = program
    .command("quantize")
    .summary("write a model with its tensors in fewer bits")
    .description("Writes a model with its tensors in fewer bits, the same result as llama.cpp's own quantization.")
    .addArgument(argument("<in>", "GGUF file to read", "file"))
    .addArgument(argument("<out>", "GGUF file to write", "file"))
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
    .option("--pure", "one type for all tensors, without the preset's mix")
    .option("--leave-output-tensor", "leave the output layer as it is")
    .option("--allow-requantize", "also quantize tensors that are quantized already, which costs quality")
    .addOption(option("--recipe <file>", "recipe to follow, instead of these options", { completes: "file" }))
    .option("--dry-run", "say what would be written, and write nothing")
    .action(
      perform(async (_invocation, _options: QuantizeOptions, _input: string, _output: string) => {
        throw new Error("not wired yet");
      }),
    );
  addExamples(command, [
    "pare quantize model-f16.gguf model-q4.gguf --type q4_K_M --imatrix model.imatrix.gguf",
    "pare quantize model-f16.gguf small.gguf --type q4_K_M --tensor-type ffn_down=q6_K --token-embedding-type q8_0",
    "pare quantize model-f16.gguf out.gguf --type iq4_xs --dry-run",
  ]);
}

function patternAndType(text: string): { pattern: string; type: string } {
  const at = text.lastIndexOf("=");
  if (at < 1 || at === text.length - 1)
    throw new InvalidArgumentError("Write a pattern and a type, like ffn_down=q6_K");
  return { pattern: text.slice(0, at), type: text.slice(at + 1) };
}
void formatBytes;
void formatDuration;
void renderFacts;
void renderTable;
