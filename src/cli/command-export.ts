// `pare export`: a model with what a runtime wants beside it.
import { Argument, type Command } from "commander";

import type { OllamaExportResult } from "../export/ollama/export-ollama.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option, wholeNumber } from "./options.js";
import { printable, renderFacts } from "./table.js";

export function describeExport(program: Command): void {
  const command = program
    .command("export")
    .summary("write what a runtime needs to run a model")
    .description(
      "Writes a folder for a runtime. For Ollama: the model and a Modelfile with the chat template in Ollama's language, stop words, sampling " +
        "parameters and licence, all from the model's own metadata. The template is written only if it gives the text of the model's own.",
    )
    .addArgument(new Argument("<runtime>", "what is to run it").choices(["ollama"]))
    .addArgument(argument("<model>", "GGUF file", "file"))
    .addArgument(argument("<folder>", "folder to write to", "folder"))
    .addOption(
      option("--context <tokens>", "tokens of context (default: Ollama's)", { parse: wholeNumber(16, 1 << 24) }),
    )
    .option("--kv-cache <type>", "f16, q8_0 or q4_0: a setting of Ollama's server, which is told")
    .action(
      perform(async (invocation, options: ExportOptions, _runtime: string, model: string, output: string) => {
        const { exportOllama } = await import("../export/ollama/export-ollama.js");
        const { context: contextLength, kvCache: cacheType } = options;
        const result = await exportOllama({ model, output, contextLength, cacheType }, invocation.runOptions);
        for (const warning of result.warnings) invocation.remark(`warning: ${warning}`);
        invocation.print(result, () => render(result));
      }),
    );
  addExamples(command, [
    "pare export ollama lean/model.gguf lean-ollama",
    "pare export ollama model.gguf out --context 8192 --kv-cache q8_0",
  ]);
}

interface ExportOptions {
  context?: number;
  kvCache?: string;
}

function render({ path, hasTemplate, conversationsCompared, stop, commands }: OllamaExportResult): string {
  const facts = renderFacts([
    ["wrote", printable(path)],
    ["template", hasTemplate ? `the model's own text in ${conversationsCompared} conversations` : "left to Ollama"],
    ["stop", stop.length > 0 ? printable(stop.join(" ")) : undefined],
  ]);
  return `${facts}\n\n${commands.map(printable).join("\n")}`;
}
