// Reads importance data made by Pare or by llama.cpp's tools: the GGUF form and the older `.dat`, told apart by content.
import { open, readFile } from "node:fs/promises";

import { FormatError, messageOf } from "../errors.js";
import { formatBytes } from "../support/units.js";
import { readGgufImatrix } from "./gguf-imatrix.js";
import type { Importance } from "./importance.js";
import { decodeLegacyImatrix } from "./legacy-imatrix.js";

/** Node reads no more than this at once; a `.dat` of a model with 10^11 parameters has a tenth of it. */
const LEGACY_BYTES_MAX = 2 ** 31 - 1;

/**
 * Reads an importance file.
 *
 * @throws {FormatError} when it is not one: a wrong length or count, a number that no sum of squares can be
 * @example
 * const importance = await readImportance("imatrix.gguf");
 * const means = meanSquares(importance.entries.get("blk.0.attn_q.weight")!);
 */
export async function readImportance(path: string, options: { signal?: AbortSignal } = {}): Promise<Importance> {
  const { magic, sizeBytes } = await probe(path);
  if (magic === "GGUF") return readGgufImatrix(path, options.signal);
  if (sizeBytes > LEGACY_BYTES_MAX) {
    throw failure(path, `it is no GGUF file, and ${formatBytes(sizeBytes)} is too large for the older format`);
  }
  return decodeLegacyImatrix(path, await readFile(path, { signal: options.signal }));
}

async function probe(path: string): Promise<{ magic: string; sizeBytes: number }> {
  try {
    await using handle = await open(path);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return { magic: buffer.toString("latin1", 0, bytesRead), sizeBytes: (await handle.stat()).size };
  } catch (cause) {
    throw failure(path, reasonOf(cause), cause);
  }
}

function reasonOf(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return "no such file";
  if (code === "EISDIR") return "it is a folder";
  return code === "EACCES" ? "no permission to read it" : messageOf(cause);
}

function failure(path: string, reason: string, cause?: unknown): FormatError {
  return new FormatError(path, `Cannot read importance data "${path}": ${reason}`, {
    hint: "Make it with `pare calibrate` or llama-imatrix",
    cause,
  });
}
