// Files that are either whole or absent: written under a temporary name, synced, then renamed. Also: hashing, and the
// question "is there room?" asked before long work.
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, constants, copyFile, link, mkdir, open, rename, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { PareError, ResourceError, UsageError, messageOf } from "../errors.js";
import { formatBytes } from "./units.js";

/** Temporary files that are open now; removed when the process ends early. */
const unfinished = new Set<AtomicFile>();

let announce: ((temporaryPath: string) => void) | undefined;

/** Has `listener` told of each temporary file before it is made: who may outlive this process can then remove it. */
export function announceUnfinished(listener: (temporaryPath: string) => void): void {
  announce = listener;
}

/** A disk starts on what was written when it is so much. */
const FLUSH_BYTES = 32 * 2 ** 20;

/** A file under construction. Nothing is at its path until `commit()`; a discarded or interrupted one leaves nothing. */
export class AtomicFile implements AsyncDisposable {
  readonly path: string;
  readonly temporaryPath: string;
  #handle: FileHandle | undefined;
  #position = 0;
  #flushing: Promise<void> | undefined;
  #flushedBytes = 0;

  private constructor(path: string, temporaryPath: string, handle: FileHandle) {
    this.path = path;
    this.temporaryPath = temporaryPath;
    this.#handle = handle;
    unfinished.add(this);
  }

  /**
   * Starts a file at `path`; its folder is made when absent.
   *
   * @throws {PareError} when the folder can't be written
   */
  static async create(path: string): Promise<AtomicFile> {
    const temporaryPath = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}.tmp`);
    try {
      await mkdir(dirname(path), { recursive: true });
      announce?.(temporaryPath);
      return new AtomicFile(path, temporaryPath, await open(temporaryPath, "wx+"));
    } catch (cause) {
      throw writeFailure(path, cause);
    }
  }

  /** Bytes written so far, holes included. */
  get sizeBytes(): number {
    return this.#position;
  }

  /** Appends bytes, or puts them at `position`. */
  async write(bytes: Uint8Array, position = this.#position): Promise<void> {
    if (!this.#handle) throw new Error(`Cannot write "${this.path}": it is closed`);
    try {
      let written = 0;
      while (written < bytes.byteLength) {
        const step = await this.#handle.write(bytes, written, bytes.byteLength - written, position + written);
        written += step.bytesWritten;
      }
    } catch (cause) {
      throw writeFailure(this.path, cause);
    }
    this.#position = Math.max(this.#position, position + bytes.byteLength);
    this.#flushBehind();
  }

  /** Lets the disk work beside whoever writes, so that little is left to wait for in the end. */
  #flushBehind(): void {
    if (this.#flushing || this.#position - this.#flushedBytes < FLUSH_BYTES) return;
    this.#flushedBytes = this.#position;
    this.#flushing = this.#handle!.datasync().then(
      () => (this.#flushing = undefined),
      () => (this.#flushing = undefined), // the sync at the end meets the same fault and tells of it
    ) as Promise<void>;
  }

  /** Syncs and renames: from here on the file is there, whole. Where that fails, disposal removes what was written. */
  async commit(): Promise<void> {
    if (!this.#handle) throw new Error(`Cannot commit "${this.path}": it is closed`);
    try {
      await this.#flushing;
      await this.#handle.sync();
      await this.#handle.close();
      this.#handle = undefined;
      await rename(this.temporaryPath, this.path);
    } catch (cause) {
      throw writeFailure(this.path, cause);
    }
    unfinished.delete(this);
  }

  /**
   * Puts the file at its path, whole, unless something is there already.
   *
   * @returns whether it is there now; what was written under the temporary name goes with disposal
   */
  async commitNew(): Promise<boolean> {
    await this.#handle?.close();
    this.#handle = undefined;
    try {
      await linkOrCopy(this.temporaryPath, this.path);
      return true;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw writeFailure(this.path, cause);
    }
  }

  /** Removes what was written, unless it was committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!unfinished.has(this)) return;
    unfinished.delete(this);
    await this.#flushing;
    await this.#handle?.close().catch(() => undefined);
    this.#handle = undefined;
    await rm(this.temporaryPath, { force: true });
  }
}

/** A second name for a file; where the file system knows no such thing a copy, which is there before it is whole. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL); // systems refuse links in many ways; what is truly wrong, this says, too
  }
}

/** Writes a whole file at once, atomically. */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  await using file = await AtomicFile.create(path);
  await file.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  await file.commit();
}

/** Copies a file, atomically. */
export async function copyFileAtomic(from: string, to: string, signal?: AbortSignal): Promise<void> {
  await requireDisk(to, (await stat(from)).size);
  await using file = await AtomicFile.create(to);
  for await (const chunk of createReadStream(from, { highWaterMark: 1 << 20, signal })) {
    await file.write(chunk as Buffer);
  }
  await file.commit();
}

/**
 * Refuses to write where a source of the work lies: it must outlive what is made of it.
 *
 * @throws {UsageError} naming the source
 */
export async function refuseReplacing(output: string, sources: readonly string[]): Promise<void> {
  const target = await stat(output).catch(() => undefined);
  if (!target) return;
  for (const path of sources) {
    const source = await stat(path).catch(() => undefined);
    if (source?.dev !== target.dev || source.ino !== target.ino) continue;
    throw new UsageError(`Input and output are the same file: "${path}"`, { hint: "Choose another output path" });
  }
}

/** Paths of temporary files that a signal handler should remove before the process ends. */
export function unfinishedPaths(): string[] {
  return [...unfinished].map((file) => file.temporaryPath);
}

/** SHA-256 of a file, as lower-case hex; of several, that of all their bytes one after another. */
export async function sha256File(path: string | readonly string[], signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for (const one of typeof path === "string" ? [path] : path) {
    for await (const chunk of createReadStream(one, { highWaterMark: 1 << 20, signal })) hash.update(chunk as Buffer);
  }
  return hash.digest("hex");
}

/** SHA-256 of text or bytes, as lower-case hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/**
 * Refuses when the disk that holds `path` has less than `neededBytes` free.
 *
 * @throws {ResourceError} naming both numbers
 */
export async function requireDisk(path: string, neededBytes: number): Promise<void> {
  const folder = await nearestFolder(dirname(path));
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return;
  throw new ResourceError(
    `Cannot write "${path}": it needs ${formatBytes(neededBytes)} and the disk has ${formatBytes(freeBytes)} free`,
    { hint: "Free some space or write to another disk" },
  );
}

async function nearestFolder(path: string): Promise<string> {
  try {
    await statfs(path);
    return path;
  } catch {
    const parent = dirname(path);
    return parent === path ? path : nearestFolder(parent);
  }
}

/** Why a file could not be written, from what the system said. */
export function writeFailure(path: string, cause: unknown): PareError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new ResourceError(`Cannot write "${path}": the disk is full`, {
      hint: "Free some space or write to another disk",
      cause,
    });
  }
  const isNoFolder = code === "ENOENT" && (cause as NodeJS.ErrnoException).syscall === "mkdir"; // as on a read-only disk
  const reason =
    isNoFolder || code === "EACCES" || code === "EPERM" || code === "EROFS"
      ? "no permission to write there"
      : code === "ENOTDIR" || code === "EEXIST"
        ? "a part of its path is a file, not a folder"
        : code === "EISDIR"
          ? "a folder stands there"
          : messageOf(cause);
  return new PareError(`Cannot write "${path}": ${reason}`, { hint: "Choose another output path", cause });
}
