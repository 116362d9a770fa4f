// Tells files of finished statistics from texts, by their content: GGUF files say of which type they are.
import { open } from "node:fs/promises";

import { FormatError } from "../errors.js";
import { readGguf } from "../formats/gguf/read.js";

/** Full second moments, or their diagonals alone. */
export type StatisticsKind = "hessian" | "imatrix";

/**
 * What kind of statistics a file holds; undefined where it is no GGUF file, and so may be a text.
 *
 * @throws {FormatError} when it is a GGUF file of another type, such as a model
 */
export async function statisticsKind(
  path: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<StatisticsKind | undefined> {
  if (!(await hasMagic(path))) return undefined;
  await using file = await readGguf(path, { ...(options.signal && { signal: options.signal }) });
  const type = file.metadata.string("general.type");
  if (type === "hessian" || type === "imatrix") return type;
  const architecture = file.metadata.string("general.architecture");
  const found = architecture === undefined ? `of type "${type ?? ""}"` : `a model ("${architecture}")`;
  throw new FormatError(path, `Cannot calibrate with "${path}": it is ${found}, neither a text nor statistics`, {
    hint: "Give a text, or what `pare calibrate MODEL TEXT -o imatrix.gguf --hessians FILE.gguf` writes",
  });
}

/** False also where there is no such file: who reads it as a text will say so. */
async function hasMagic(path: string): Promise<boolean> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString("latin1", 0, bytesRead) === "GGUF";
  } catch {
    return false;
  }
}
