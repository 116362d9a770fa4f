// The errors that callers of Pare can tell apart. `TypeError` and `RangeError` are used where they fit; a class stands
// here only because someone catches it or because it carries fields.

/** Any failure that Pare foresaw: the message says what is and what was wanted, the hint what to try. */
export class PareError extends Error {
  override readonly name: string = "PareError";
  /** What to try next, as one sentence without a full stop. */
  readonly hint: string | undefined;
  /** Process exit code when this error ends the `pare` command. */
  readonly exitCode: number = 1;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
  }
}

/** A request that can't be meant as written: an unknown option, a missing argument, two options that exclude each other. */
export class UsageError extends PareError {
  override readonly name = "UsageError";
  override readonly exitCode = 2;
}

/** A file that is not what it claims to be. */
export class FormatError extends PareError {
  override readonly name = "FormatError";
  /** The file, as the user named it. */
  readonly path: string;

  constructor(path: string, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options);
    this.path = path;
  }
}

/** The native engine refused, or its process died. `log` holds what it last printed. */
export class EngineError extends PareError {
  override readonly name = "EngineError";
  readonly log: readonly string[];

  constructor(message: string, options: { hint?: string; cause?: unknown; log?: readonly string[] } = {}) {
    super(message, options);
    this.log = options.log ?? [];
  }
}

/** Too little disk or memory for what was asked. Raised before work starts. */
export class ResourceError extends PareError {
  override readonly name = "ResourceError";
}

/** True for the error that an aborted `AbortSignal` raises. */
export function isAbortError(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError");
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why a file can't be read: in words where the system has a code. */
export function whyUnreadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a folder" : messageOf(error);
}
