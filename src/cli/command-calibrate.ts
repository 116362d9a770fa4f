// `pare calibrate`: what the layers of a model see while they read text.
import type { Command } from "commander";

import { formatBytes, formatCount, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option, wholeNumber } from "./options.js";
import { renderFacts } from "./table.js";

interface CalibrateOptions {
  output: string;
  context?: number;
  chunks?: number;
  hessians?: boolean;
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
        "takes, and on request input Hessians and the similarity of layer inputs and outputs.",
    )
    .addArgument(argument("<model>", "GGUF file, best at full precision", "file"))
    .addArgument(argument("<text...>", "text files, read in order", "file"))
    .requiredOption("-o, --output <file>", "importance file to write; .dat makes the older format")
    .addOption(option("--context <tokens>", "tokens per chunk", { parse: wholeNumber(8, 1 << 20) }))
    .addOption(option("--chunks <count>", "chunks to read at most", { parse: wholeNumber(1, 1e9) }))
    .option("--hessians", "also keep the full input Hessian of each linear layer")
    .option("--similarity", "also measure how similar the layers' inputs and outputs are")
    .option("--process-output", "also keep statistics of the output layer")
    .option("--parse-special", "read special tokens in the text as such")
    .action(
      perform(async (_invocation, _options: CalibrateOptions, _model: string, _texts: string[]) => {
        throw new Error("not wired yet");
      }),
    );
  addExamples(command, [
    "pare calibrate model-f16.gguf calibration.txt -o model.imatrix.gguf",
    "pare calibrate model-f16.gguf a.txt b.txt --chunks 100 --similarity -o model.imatrix.gguf",
  ]);
}
void formatBytes;
void formatCount;
void formatDuration;
void renderFacts;
