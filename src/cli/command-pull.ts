// `pare pull`: a model from the hub, or found where it lies already.
import type { Command } from "commander";

import type { PullResult } from "../hub/pull.js";
import { formatBytes } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument } from "./options.js";
import { printable, renderFacts } from "./table.js";

export function describePull(program: Command): void {
  const command = program
    .command("pull")
    .summary("download a model from the Hugging Face hub")
    .description(
      "Downloads a model from the Hugging Face hub into Hugging Face's own cache, or finds it there or in Ollama's store, and prints where " +
        "it is. An interrupted download goes on where it stopped; every file is held to the hub's hash. Only safetensors, GGUF and the texts " +
        "beside them are downloaded, never pickles. HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE count.",
    )
    .addArgument(
      argument("<model>", "org/name, with @revision or :file behind it where wanted, or ollama:name:tag", []),
    )
    .option("--revision <revision>", "branch, tag or commit (default: main)")
    .option("--file <path>", "one file of the repository, such as one of several GGUF files")
    .action(
      perform(async (invocation, options: PullOptions, model: string) => {
        const { pull } = await import("../hub/pull.js");
        const result = await pull({ model, ...options }, invocation.runOptions);
        for (const warning of result.warnings) invocation.remark(`warning: ${warning}`);
        invocation.print(result, () => render(result));
      }),
    );
  addExamples(command, [
    "pare pull HuggingFaceTB/SmolLM2-135M-Instruct",
    "pare pull Qwen/Qwen2.5-0.5B-Instruct-GGUF:qwen2.5-0.5b-instruct-q8_0.gguf",
    "pare pull ollama:llama3.2:1b --json | jq -r .path",
  ]);
}

interface PullOptions {
  revision?: string;
  file?: string;
}

function render({ path, repository, revision, files, bytesDownloaded }: PullResult): string {
  const sizeBytes = files.reduce((total, file) => total + file.sizeBytes, 0);
  return renderFacts([
    ["model", printable(repository)],
    ["revision", revision],
    ["files", `${files.length}, ${formatBytes(sizeBytes)}`],
    ["downloaded", bytesDownloaded === 0 ? "nothing, as all was there" : formatBytes(bytesDownloaded)],
    ["path", printable(path)],
  ]);
}
