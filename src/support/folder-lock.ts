// One run at a time in a folder: two would remove each other's files, cut each other's journal and mix their results.
// A lock names the process that holds it. One that was killed leaves its lock behind, which the next one takes over.
import { readFileSync } from "node:fs";
import { mkdir, readFile, rm, rmdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import { PareError } from "../errors.js";
import { AtomicFile, writeFailure, writeFileAtomic } from "./files.js";

/** After that nobody is writing an empty lock any more. */
const EMPTY_MS_MAX = 2000;

/** Locks of this process. */
const held = new Set<string>();

/** A folder that is this process's alone until disposal. */
export class FolderLock implements AsyncDisposable {
  readonly #path: string;
  /** The outermost folder that was made for it. */
  readonly #made: string | undefined;

  private constructor(path: string, made: string | undefined) {
    this.#path = path;
    this.#made = made;
  }

  /**
   * @param path of the lock file
   * @param what is locked, for the message
   * @throws {PareError} when another process that is alive holds it
   */
  static async acquire(path: string, what: string): Promise<FolderLock> {
    const place = resolve(path);
    if (held.has(place)) throw busy(what, process.pid);
    held.add(place);
    let made: string | undefined;
    try {
      made = await mkdir(dirname(place), { recursive: true });
      while (!(await claim(place))) {
        const holder = await holderOf(place);
        if (holder !== undefined) throw busy(what, holder);
        await clearStale(place);
      }
    } catch (cause) {
      held.delete(place);
      throw cause instanceof PareError ? cause : writeFailure(path, cause);
    }
    return new FolderLock(place, made);
  }

  /** Says what is done under the lock, in one line, to whoever looks at it. */
  async tell(what: string): Promise<void> {
    await writeFileAtomic(this.#path, `${identityOf(process.pid)}${what}\n`); // never half a lock, which would be nobody's
  }

  /** Folders that were made and hold nothing go, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    held.delete(this.#path);
    await rm(this.#path, { force: true });
    if (this.#made === undefined) return;
    for (let folder = dirname(this.#path); folder.startsWith(this.#made); folder = dirname(folder)) {
      await rmdir(folder).catch(() => undefined); // it is in use
    }
  }
}

/** Writes the lock, whole: whoever sees it sees whose it is. @returns false where there is one */
async function claim(path: string): Promise<boolean> {
  await using file = await AtomicFile.create(path);
  await file.write(new TextEncoder().encode(identityOf(process.pid)));
  return await file.commitNew(); // the file is put away with the block, not before it has its second name
}

/**
 * Removes a lock of a process that is no more. One process at a time does, under a lock of its own: else two would see the same
 * stale lock, and the second remove what the first has put in its place.
 */
async function clearStale(path: string): Promise<void> {
  const guard = `${path}.stale`;
  if (!(await claim(guard))) {
    if ((await holderOf(guard)) === undefined) await clearStale(guard);
    return;
  }
  try {
    if (await isStale(path)) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

/**
 * Whether a lock names a process that is no more, or nobody for long: where the file system has no links, it is there before it
 * says whose it is. One that has just gone is not stale: in the next moment it may be another's, and nobody else's may be removed.
 */
async function isStale(path: string): Promise<boolean> {
  const written = await readFile(path, "utf8").catch(() => undefined);
  if (written !== "") return written !== undefined && livingHolder(written) === undefined;
  const lock = await stat(path).catch(() => undefined);
  return lock !== undefined && Date.now() - lock.mtimeMs > EMPTY_MS_MAX;
}

function busy(what: string, holder: number): PareError {
  return new PareError(`Another run works in "${what}" (process ${holder})`, {
    hint: "Wait until it has ended, or choose another folder",
  });
}

/** What is done under a lock, as its holder told; "" where it told nothing, undefined where no process that is alive holds it. */
export async function toldUnder(path: string): Promise<string | undefined> {
  const written = await readFile(path, "utf8").catch(() => "");
  const isHeld = held.has(resolve(path)) || (await holderOf(path)) !== undefined;
  return isHeld ? (written.split("\n")[1] ?? "") : undefined;
}

/** The other process that holds a lock, if it is alive. */
async function holderOf(path: string): Promise<number | undefined> {
  return livingHolder(await readFile(path, "utf8").catch(() => ""));
}

function livingHolder(written: string): number | undefined {
  const holder = Number.parseInt(written, 10);
  if (!(holder > 0) || holder === process.pid || !isAlive(holder)) return undefined;
  return written.startsWith(identityOf(holder)) ? holder : undefined;
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it belongs to somebody else
  }
}

/** The number of a process and, where the system tells it, when it started: numbers are used again. */
function identityOf(id: number): string {
  try {
    const fields = readFileSync(`/proc/${id}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return `${id} ${fields[19]}\n`; // starttime, the 22nd field
  } catch {
    return `${id}\n`;
  }
}
