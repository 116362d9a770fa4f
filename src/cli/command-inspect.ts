// `pare inspect`: what is in a model file.
import type { Command } from "commander";

import { formatBytes, formatCount } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument } from "./options.js";
import { printable, renderFacts, renderTable } from "./table.js";

export function describeInspect(program: Command): void {
  const command = program
    .command("inspect")
    .summary("show what is in a model file")
    .description("Shows what is in a model file: its shape, parameters, bits per weight, KV cache and every tensor.")
    .addArgument(argument("<model>", "GGUF file; of a split model any part", "file"))
    .action(
      perform(async (_invocation, _options, _path: string) => {
        throw new Error("not wired yet");
      }),
    );
  addExamples(command, ["pare inspect model.gguf", "pare inspect model.gguf --json | jq .bitsPerWeight"]);
}
