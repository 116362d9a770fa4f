// From anything thrown to what the user reads: one message, one hint, one exit code.
import { CommanderError } from "commander";

import { EngineError, FormatError, PareError, isAbortError, messageOf } from "../errors.js";
import { interruption } from "./interruption.js";

export interface Failure {
  message: string;
  hint: string | undefined;
  exitCode: number;
  /** What the engine last said. */
  log: readonly string[];
  stack: string | undefined;
}

const SYSTEM_FAILURES: Record<string, string> = {
  ENOENT: "no such file",
  EACCES: "no permission",
  EPERM: "no permission",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is a file, not a folder",
  EMFILE: "too many files are open",
  ENOSPC: "the disk is full",
};

/** Describes anything thrown. Usage errors end with exit code 2, everything else with 1. */
export function failureOf(error: unknown): Failure {
  const log = error instanceof EngineError ? error.log : [];
  const stack = error instanceof Error ? stackWithCauses(error) : undefined;
  const known = usageFailure(error) ?? ownFailure(error) ?? systemFailure(error);
  if (known) return { ...known, log, stack };
  const hint = "This was not foreseen; run again with PARE_DEBUG=1 to see where it happened, and report it";
  return { message: messageOf(error) || "It failed without a message", hint, exitCode: 1, log, stack };
}

type Described = Pick<Failure, "message" | "hint" | "exitCode">;

/** Commander says `error: unknown option '--jsn'\n(Did you mean --json?)`. */
function usageFailure(error: unknown): Described | undefined {
  if (!(error instanceof CommanderError)) return undefined;
  if (error.code === "commander.help") {
    return { message: "No command given", hint: "Run pare --help for the commands", exitCode: 2 };
  }
  const [first = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const hint = suggestion?.replace(/^\((.*)\)$/, "$1");
  return { message: capitalized(first.replace(/\.$/, "")), hint: hint ?? usageHint(error.code), exitCode: 2 };
}

function usageHint(code: string): string {
  if (code === "commander.unknownCommand") return "Run pare --help for the commands";
  return "Run the command with --help for its arguments and options";
}

function ownFailure(error: unknown): Described | undefined {
  if (error instanceof PareError) {
    return { message: error.message, hint: error.hint ?? generalHint(error), exitCode: error.exitCode };
  }
  if (isAbortError(error)) return { message: "Interrupted", hint: interruption.hint, exitCode: 130 };
  return undefined;
}

function generalHint(error: PareError): string | undefined {
  if (error instanceof FormatError) return "Check that this is the file you mean and that it is whole";
  if (error instanceof EngineError) return "Run again with --verbose to see what the engine logged";
  return error.message.startsWith("Cannot read ") ? "Check the path and its permissions" : undefined;
}

function systemFailure(error: unknown): Described | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  const reason = code && SYSTEM_FAILURES[code];
  if (!reason || !path) return undefined;
  const verb = syscall === "mkdir" || syscall === "rename" || syscall === "write" ? "write" : "read";
  const hint = code === "ENOENT" ? "Check the path" : "Check the path and its permissions";
  return { message: `Cannot ${verb} "${path}": ${reason}`, hint, exitCode: 1 };
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function stackWithCauses(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by: ${stackWithCauses(error.cause)}` : own;
}
