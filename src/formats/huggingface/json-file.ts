// JSON files of a checkpoint folder, and values of theirs that are what they should be.
import { readFile, stat } from "node:fs/promises";

import { FormatError, PareError, messageOf } from "../../errors.js";

/** Several times the largest tokenizer in use. */
const BYTES_MAX = 256 * 2 ** 20;

export type JsonObject = { readonly [key: string]: unknown };

/**
 * Reads a JSON file that holds an object; undefined when there is no such file.
 *
 * @throws {FormatError} when it holds anything else
 */
export async function readJsonFile(path: string): Promise<JsonObject | undefined> {
  const stats = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw new PareError(`Cannot read "${path}": ${cause.message}`, { cause });
  });
  if (!stats) return undefined;
  if (stats.size > BYTES_MAX) throw failure(path, `it has ${stats.size} bytes, at most ${BYTES_MAX} are wanted`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path)));
  } catch (cause) {
    throw failure(path, `it is no JSON: ${messageOf(cause)}`, cause);
  }
  if (!isJsonObject(value)) throw failure(path, "it is no JSON object");
  return value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function failure(path: string, reason: string, cause?: unknown): FormatError {
  return new FormatError(path, `Cannot read "${path}": ${reason}`, { cause });
}
