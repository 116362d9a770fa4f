// Where a file's bytes come from: a disk, or a server that answers range requests. Both read only what is asked for.
import { type FileHandle, open } from "node:fs/promises";

import { FormatError, PareError, isAbortError, messageOf } from "../../errors.js";
import { HttpSource } from "./http-source.js";

/** Random access to a file's bytes. */
export interface ByteSource {
  /** The file's path or address, as the user named it. */
  readonly path: string;
  readonly sizeBytes: number;
  /**
   * Reads exactly `length` bytes into memory of their own, or into the start of `into` where it has room for them and
   * the source can.
   *
   * @throws {FormatError} when the file ends before
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** True for an address that `HttpSource` reads. */
export function isRemote(path: string): boolean {
  return /^https?:\/\//i.test(path);
}

/** Opens a path on disk or an `http://` or `https://` address. */
export async function openSource(path: string, options: { signal?: AbortSignal } = {}): Promise<ByteSource> {
  options.signal?.throwIfAborted();
  return isRemote(path) ? HttpSource.open(path, options) : FileSource.open(path);
}

/** A file on disk. */
export class FileSource implements ByteSource {
  private constructor(
    readonly path: string,
    readonly sizeBytes: number,
    readonly handle: FileHandle,
  ) {}

  /** @throws {PareError} when there is no such file or it can't be read */
  static async open(path: string): Promise<FileSource> {
    try {
      const handle = await open(path, "r");
      const stats = await handle.stat();
      if (stats.isFile()) return new FileSource(path, stats.size, handle);
      await handle.close();
    } catch (cause) {
      throw readFailure(path, cause);
    }
    throw new PareError(`Cannot read "${path}": it is not a file`);
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const bytes = into && into.byteLength >= length ? into.subarray(0, length) : new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.handle
        .read(bytes, done, length - done, offset + done)
        .catch((cause: unknown) => {
          throw readFailure(this.path, cause);
        });
      if (bytesRead === 0) throw endsEarly(this.path, offset, length, offset + done);
      done += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** The error for a read beyond a file's end. */
export function endsEarly(path: string, offset: number, length: number, sizeBytes: number): FormatError {
  return new FormatError(
    path,
    `Cannot read "${path}": it ends at byte ${sizeBytes}, and ${length} bytes from ${offset} are wanted`,
    { hint: "The file is incomplete; copy or download it again" },
  );
}

function readFailure(path: string, cause: unknown): unknown {
  if (isAbortError(cause)) return cause;
  const code = (cause as NodeJS.ErrnoException).code;
  const reason =
    code === "ENOENT" || code === "ENOTDIR"
      ? "there is no such file"
      : code === "EACCES" || code === "EPERM"
        ? "no permission to read it"
        : messageOf(cause);
  return new PareError(`Cannot read "${path}": ${reason}`, { cause });
}
