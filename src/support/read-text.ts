// Text files that models are shown. A byte-order mark stays, as llama.cpp's tools leave it.
import { readFile } from "node:fs/promises";

import { FormatError, PareError, isAbortError, messageOf } from "../errors.js";

/**
 * Reads a text file.
 *
 * @throws {FormatError} when it is not UTF-8
 * @throws {PareError} when it can't be read
 */
export async function readText(path: string, signal?: AbortSignal): Promise<string> {
  const bytes = await readFile(path, { signal }).catch((cause: unknown) => {
    throw isAbortError(cause) ? cause : readFailure(path, cause);
  });
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError(path, `Cannot read text "${path}": it is not UTF-8`, {
      hint: "Convert it, or name a text file",
      cause,
    });
  }
}

function readFailure(path: string, cause: unknown): PareError {
  const { code } = cause as NodeJS.ErrnoException;
  const reason = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a folder" : messageOf(cause);
  return new PareError(`Cannot read text "${path}": ${reason}`, { cause });
}
