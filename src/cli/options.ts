// Options that every command has, readers of option values, and what the shell should offer for a value.
import { Argument, type Command, InvalidArgumentError, Option } from "commander";

import { parseBytes, parseDuration, parseShare } from "../support/units.js";

export const BACKENDS = ["cpu", "cuda", "vulkan", "metal"] as const;
export type Backend = (typeof BACKENDS)[number];

/** What the shell offers for a value: paths, types of tensors, presets, devices, or the words of a list. */
export type Completion = "file" | "folder" | "tensor-type" | "preset" | "device" | readonly string[];

const GLOBAL_GROUP = "Global options:";
const completions = new WeakMap<object, Completion>();

/** Adds the options that every command has, in a group of their own at the end of its help. */
export function addGlobalOptions(command: Command): void {
  const options = [
    new Option("--json", "print exactly one JSON document on standard output"),
    new Option("--backend <name>", "engine build to use (default: PARE_BACKEND, else the best installed)").choices(
      BACKENDS,
    ),
    new Option("--threads <count>", "threads of the engine (default: physical cores)").argParser(wholeNumber(1, 1024)),
    new Option("--quiet", "no progress and no remarks"),
    new Option("--verbose", "more remarks; on failure also what the engine last logged"),
  ];
  for (const option of options) command.addOption(option.helpGroup(GLOBAL_GROUP));
  if (command.parent) command.helpOption("--help", "show this help");
}

/** True for an option that every command has. */
export function isGlobalOption(option: Option): boolean {
  return option.helpGroupHeading === GLOBAL_GROUP;
}

interface OptionSettings {
  parse?: (text: string, previous: never) => unknown;
  completes?: Completion;
  /** Given again and again, the values gather in a list. */
  repeatable?: boolean;
  default?: unknown;
}

/** An option with its value's reader and completion. */
export function option(flags: string, description: string, settings: OptionSettings = {}): Option {
  const result = new Option(flags, description);
  const parse = settings.parse as ((text: string) => unknown) | undefined;
  if (settings.repeatable) {
    const gather = (text: string, previous: unknown[] = []): unknown[] => [...previous, parse ? parse(text) : text];
    result.argParser(gather);
  } else if (parse) {
    result.argParser((text: string) => parse(text));
  }
  if (settings.default !== undefined) result.default(settings.default);
  if (settings.completes) completions.set(result, settings.completes);
  return result;
}

/** An argument with its completion. */
export function argument(name: string, description: string, completes: Completion): Argument {
  const result = new Argument(name, description);
  completions.set(result, completes);
  return result;
}

/** What the shell should offer for an option's or an argument's value. */
export function completionOf(item: Option | Argument): Completion | undefined {
  return item.argChoices ?? completions.get(item);
}

/** Reads a whole number in a range. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high || text.trim() === "") {
      throw new InvalidArgumentError(`Write a whole number from ${low} to ${high}`);
    }
    return value;
  };
}

/** Reads a number in a range. */
export function number(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value >= low && value <= high) || text.trim() === "") {
      throw new InvalidArgumentError(`Write a number from ${low} to ${high}`);
    }
    return value;
  };
}

/** Reads one of a list of words, in either case. */
export function oneOf<const T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word.toLowerCase() === text.toLowerCase());
    if (!found) throw new InvalidArgumentError(`Write one of ${words.join(", ")}`);
    return found;
  };
}

export const bytes = reading(parseBytes);
export const durationMs = reading(parseDuration);
export const share = reading(parseShare);

/** Turns a reader's `RangeError` into the command line's own complaint. */
export function reading<T>(read: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return read(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}
