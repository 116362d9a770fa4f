// The files of one run lie apart: what it writes takes the place of nothing that it reads, nor of anything else that it writes.
import { stat } from "node:fs/promises";
import { resolve } from "node:path";

import { UsageError } from "../../errors.js";

/** A file, and what it is in the run: "output", "table". */
export interface RoledFile {
  readonly role: string;
  readonly path: string;
}

/**
 * Refuses paths to write that can't be meant. Files are the same by path, also where neither is there yet, or by link.
 *
 * @throws {UsageError} when one is a folder, or the same file as another or as one of those read
 */
export async function refuseCollisions(written: readonly RoledFile[], read: readonly RoledFile[]): Promise<void> {
  for (const [i, { role, path }] of written.entries()) {
    const target = await stat(path).catch(() => undefined);
    if (target?.isDirectory()) {
      throw new UsageError(`Cannot write "${path}": a folder stands there`, { hint: "Name the file in it, too" });
    }
    for (const other of [...read, ...written.slice(0, i)]) {
      if (!(await isSameFile(path, other.path))) continue;
      throw new UsageError(`The ${role} and the ${other.role} are the same file: "${path}"`, {
        hint: `Choose another path for the ${role}`,
      });
    }
  }
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  if (resolve(a) === resolve(b)) return true;
  const [one, other] = await Promise.all([a, b].map((path) => stat(path).catch(() => undefined)));
  return one !== undefined && one.dev === other?.dev && one.ino === other.ino;
}
