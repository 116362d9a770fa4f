// One run of one command: where it prints, how it reports progress, how it is stopped, and with which exit code it ends.
import type { Command } from "commander";

import type { OnProgress, RunOptions } from "../support/progress.js";
import { interruption } from "./interruption.js";
import { withLocalModels } from "./local-models.js";
import { type Backend, completionOf, isGlobalOption } from "./options.js";
import { ProgressBar } from "./progress-bar.js";

/** The options that every command has. */
export interface GlobalOptions {
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  backend?: Backend;
  threads?: number;
}

/** What a command is given besides its own arguments and options. */
export class Invocation {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly threads: number | undefined;
  readonly signal: AbortSignal = interruption.signal;
  readonly #bar: ProgressBar;

  constructor(options: GlobalOptions) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
    this.verbose = options.verbose ?? false;
    this.threads = options.threads;
    // The engine reads its backend from the environment, so that child processes agree with their parent.
    if (options.backend) process.env["PARE_BACKEND"] = options.backend;
    this.#bar = new ProgressBar(process.stderr, { isQuiet: this.quiet, isVerbose: this.verbose });
  }

  readonly onProgress: OnProgress = (progress) => this.#bar.update(progress);

  /** What every verb of the library accepts. */
  get runOptions(): RunOptions {
    return { signal: this.signal, onProgress: this.onProgress };
  }

  /** Prints the outcome: the document with `--json`, otherwise the text made for people. */
  print(document: unknown, render: () => string): void {
    this.#bar.clear();
    if (this.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    else process.stdout.write(`${render()}\n`);
  }

  /** Says something on the side, on standard error. */
  remark(text: string): void {
    if (this.quiet) return;
    this.#bar.clear();
    process.stderr.write(`${text}\n`);
  }

  /** From here on the work is remembered: who interrupts it is told so. */
  goesOn(): void {
    interruption.hint = "The same command goes on from where it stopped";
  }

  /** Takes the progress bar off the screen. */
  close(): void {
    this.#bar.clear();
  }
}

/** Makes a commander action from a function of the invocation, the command's arguments and its options. */
export function perform<Arguments extends unknown[], Options>(
  run: (invocation: Invocation, options: Options, ...args: Arguments) => Promise<number | void>,
): (...all: unknown[]) => Promise<void> {
  return async (...all) => {
    const command = all.at(-1) as Command;
    const invocation = new Invocation(command.optsWithGlobals<GlobalOptions>());
    try {
      const args = await argumentsOf(command, all.slice(0, -2), invocation);
      const exitCode = await run(invocation, ownOptions(command) as Options, ...(args as Arguments));
      if (typeof exitCode === "number") process.exitCode = exitCode;
    } finally {
      invocation.close();
    }
  };
}

/** Where a command takes files, models may be named by where they are published. */
async function argumentsOf(command: Command, args: unknown[], { runOptions }: Invocation): Promise<unknown[]> {
  const results: unknown[] = [];
  for (const [index, argument] of command.registeredArguments.entries()) {
    const given = args[index];
    results.push(completionOf(argument) === "file" ? await withLocalModels(given, runOptions) : given);
  }
  return results;
}

/** The values of a command's own options that were given or have a default. */
function ownOptions(command: Command): Record<string, unknown> {
  const names = command.options.filter((option) => !isGlobalOption(option)).map((option) => option.attributeName());
  const values = names.map((name): [string, unknown] => [name, command.getOptionValue(name)]);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}
