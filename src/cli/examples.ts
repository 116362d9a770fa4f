// Example command lines, kept with the command that they show.
import type { Command } from "commander";

const examplesOf = new WeakMap<Command, readonly string[]>();

/** Shows examples below a command's help, and keeps them for the reference page. */
export function addExamples(command: Command, examples: readonly string[]): Command {
  examplesOf.set(command, examples);
  return command.addHelpText("after", `\nExamples:\n${examples.map((line) => `  ${line}`).join("\n")}`);
}

/** The examples of a command, one command line each. */
export function examples(command: Command): readonly string[] {
  return examplesOf.get(command) ?? [];
}
