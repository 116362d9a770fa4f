// `pare completion`: a script that teaches the shell Pare's commands, options and values.
import { Argument, type Command } from "commander";

import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
export function describeCompletion(program: Command): void {
  const command = program
    .command("completion")
    .summary("print a completion script for the shell")
    .description("Prints a script that completes commands, options and values in the shell.")
    .addArgument(new Argument("<shell>", "which shell it is for").choices(["bash", "zsh", "fish"]))
    .action(
      perform(async (invocation, _options, shell: "bash" | "zsh" | "fish") => {
        const { completionScript, completionWords } = await import("./completion.js");
        const script = completionScript(program, shell, await completionWords());
        invocation.print({ shell, script }, () => script);
      }),
    );
  addExamples(command, [
    "pare completion bash > ~/.local/share/bash-completion/completions/pare",
    'pare completion zsh > "${fpath[1]}/_pare"',
    "pare completion fish > ~/.config/fish/completions/pare.fish",
  ]);
}
