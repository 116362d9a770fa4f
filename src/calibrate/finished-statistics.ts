// Tells files of finished statistics from texts, by their content: GGUF files say of which type they are, and importance in
// the older form is known by how it starts.
import { open } from "node:fs/promises";

import { FormatError } from "../errors.js";
import { readGguf } from "../formats/gguf/read.js";
import { LEGACY_HEAD_BYTES, isLegacyImatrix } from "./legacy-imatrix.js";

/** Full second moments, or their diagonals alone. */
export type StatisticsKind = "hessian" | "imatrix";

/**
 * What kind of statistics a file holds; undefined where it is no GGUF file, and so may be a text.
 *
 * @throws {FormatError} when it is a GGUF file of another type, such as a model, or importance in the older form
 */
export async function statisticsKind(
  path: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<StatisticsKind | undefined> {
  const head = await headOf(path);
  if (isLegacyImatrix(head)) throw legacy(path);
  if (!isGguf(head)) return undefined;
  await using file = await readGguf(path, { ...(options.signal && { signal: options.signal }) });
  const type = file.metadata.string("general.type");
  if (type === "hessian" || type === "imatrix") return type;
  const architecture = file.metadata.string("general.architecture");
  const found = architecture === undefined ? `of type "${type ?? ""}"` : `a model ("${architecture}")`;
  throw new FormatError(path, `Cannot calibrate with "${path}": it is ${found}, neither a text nor statistics`, {
    hint: "Give a text, or what `pare calibrate MODEL TEXT -o imatrix.gguf --hessians FILE.gguf` writes",
  });
}

/** A text may start with the same four letters, but no letters are a version. */
function isGguf(head: Buffer): boolean {
  if (head.length < 8 || head.toString("latin1", 0, 4) !== "GGUF") return false;
  const version = head.readUInt32LE(4);
  return version === 2 || version === 3;
}

/** Empty also where there is no such file: who reads it as a text will say so. */
async function headOf(path: string): Promise<Buffer> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LEGACY_HEAD_BYTES), 0, LEGACY_HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } catch {
    return Buffer.alloc(0);
  }
}

function legacy(path: string): FormatError {
  return new FormatError(path, `Cannot calibrate with "${path}": it is importance data in the older form (.dat)`, {
    hint: "Give the GGUF form, which `pare calibrate MODEL TEXT -o imatrix.gguf` writes, or pass this one to --imatrix",
  });
}
