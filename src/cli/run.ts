// Runs one command line from its arguments to its exit code. Every way out of the command is here.
import { type Command, CommanderError } from "commander";

import { type Failure, failureOf } from "./failure.js";
import { interruption } from "./interruption.js";

/** Parses and performs, prints what failed, and ends the process. */
export async function runProgram(program: Command, args: readonly string[]): Promise<never> {
  interruption.watch();
  endQuietlyWhenPipeCloses();
  const exitCode = await performProgram(program, args);
  await flushed(process.stdout);
  await flushed(process.stderr);
  return interruption.endNow(exitCode);
}

async function performProgram(program: Command, args: readonly string[]): Promise<number> {
  try {
    if (args.length === 0) program.help({ error: true });
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // --help or --version was printed
    const failure = failureOf(error);
    if (interruption.exitCode !== undefined) failure.exitCode = interruption.exitCode;
    printFailure(failure, args);
    return failure.exitCode;
  }
}

function printFailure(failure: Failure, args: readonly string[]): void {
  const words = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  const { message, hint } = failure;
  if (words.includes("--json")) {
    process.stdout.write(`${JSON.stringify({ error: { message, hint: hint ?? null } }, null, 2)}\n`);
  } else {
    process.stderr.write(`pare: ${message}\n${hint ? `hint: ${hint}\n` : ""}`);
  }
  if (words.includes("--verbose")) for (const line of failure.log) process.stderr.write(`engine: ${line}\n`);
  if (process.env["PARE_DEBUG"] && failure.stack) process.stderr.write(`${failure.stack}\n`);
}

/** `pare inspect model.gguf | head` is no failure. */
function endQuietlyWhenPipeCloses(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => interruption.endNow(error.code === "EPIPE" ? 0 : 1));
  }
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write("", () => resolve()));
}
