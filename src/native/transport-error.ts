// Errors between processes or threads, which copy data but no classes.
import { EngineError, FormatError, PareError, ResourceError, UsageError } from "../errors.js";

/** An error as it crosses the border. */
export interface TransportedError {
  name: string;
  message: string;
  hint?: string | undefined;
  path?: string | undefined;
  log?: readonly string[] | undefined;
  stack?: string | undefined;
}

/** What to send of an error. */
export function transportError(error: unknown): TransportedError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack } = error;
  const hint = error instanceof PareError ? error.hint : undefined;
  const { path, log } = error as { path?: unknown; log?: unknown };
  return {
    name,
    message,
    hint,
    stack,
    path: typeof path === "string" ? path : undefined,
    log: Array.isArray(log) ? (log as string[]) : undefined,
  };
}

/** The error again, with its class, hint and fields. */
export function rebuildError(error: TransportedError): Error {
  const rebuilt = rebuild(error);
  if (error.stack) rebuilt.stack = error.stack;
  return rebuilt;
}

function rebuild({ name, message, hint, path, log }: TransportedError): Error {
  if (name === "FormatError") return new FormatError(path ?? "", message, { hint });
  if (name === "EngineError") return new EngineError(message, { hint, log });
  if (name === "UsageError") return new UsageError(message, { hint });
  if (name === "ResourceError") return new ResourceError(message, { hint });
  if (name === "PareError") return new PareError(message, { hint });
  if (name === "RangeError") return new RangeError(message);
  if (name === "TypeError") return new TypeError(message);
  return Object.assign(new Error(message), { name });
}
