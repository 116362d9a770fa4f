// `pare studio`: a page on this machine that shows fits as they go.
import type { Command } from "commander";

import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option, wholeNumber } from "./options.js";
import { packageVersion } from "./version.js";

interface StudioFlags {
  port?: number;
  model?: string[];
}

export function describeStudio(program: Command): void {
  const command = program
    .command("studio")
    .summary("watch fits live in a browser, browse cases, compare two models side by side")
    .description(
      "Opens a page on this machine, and on no other, that shows fits as they go: candidates on a plot, cases with both answers, and two models to talk with at once.",
    )
    .addArgument(
      argument("[folder...]", "output folders of fits, or folders that hold some (default: the current one)", "folder"),
    )
    .addOption(
      option("--port <port>", "port to listen on, 0 for a free one (default: 8090)", { parse: wholeNumber(0, 65_535) }),
    )
    .addOption(
      option("--model <file>", "a GGUF file to talk with, as FILE or NAME=FILE; repeatable", {
        completes: "file",
        repeatable: true,
      }),
    )
    .action(
      perform(async (invocation, { port, model }: StudioFlags, folders: string[]) => {
        const { openStudio } = await import("../studio/studio.js");
        await using studio = await openStudio({
          folders: folders.length > 0 ? folders : undefined,
          models: model,
          port,
          threads: invocation.threads,
          version: packageVersion(),
          signal: invocation.signal,
        });
        invocation.print({ url: studio.url }, () => studio.url);
        await studio.closed;
      }),
    );
  addExamples(command, ["pare studio", "pare studio lean --model mine=model.gguf", "pare studio out --port 9000"]);
}
