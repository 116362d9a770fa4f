// A baseline file: what one model predicts after every scored token of a text, kept compactly, so that candidates can be
// compared with it without running it again. Written window by window, read window by window.
//
//   "PAREBASE", u32 version, u32 bytes of the header, the header as JSON
//   per window: u64 offset, u32 bytes, u32 zero, first 8 bytes of the record's SHA-256
//   the records (baseline-record.ts)
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";

import { z } from "zod";

import { FormatError, PareError, messageOf } from "../errors.js";
import { AtomicFile, requireDisk } from "../support/files.js";
import { type BaselineWindow, decodeWindow, encodeWindow } from "./baseline-record.js";
import { REST_SHARE, SAMPLES } from "./compact-distribution.js";

const MAGIC = "PAREBASE";
const VERSION = 1;
const PREFIX_BYTES = 16;
const ENTRY_BYTES = 24;
const HEADER_BYTES_MAX = 64 << 20; // a million windows list in 8 MB

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

export const baselineHeaderSchema = z.object({
  model: z.object({ name: z.string(), sizeBytes: z.number().int().nonnegative(), sha256: sha256Schema }),
  vocabularySize: z
    .number()
    .int()
    .min(1)
    .max(1 << 24),
  vocabularySha256: sha256Schema,
  /** Tokens per window. */
  contextLength: z
    .number()
    .int()
    .min(4)
    .max(1 << 26),
  /** Which windows of the text these are, ascending. */
  windows: z.array(z.number().int().nonnegative()).min(1),
  /** Of the token ids of these windows, one after another, 32 bits each. */
  tokensSha256: sha256Schema,
  repack: z.boolean(),
  engine: z.string(),
  restShare: z.literal(REST_SHARE),
  samples: z.literal(SAMPLES),
});

export type BaselineHeader = z.infer<typeof baselineHeaderSchema>;

/** True when a file starts as a baseline file does; false for anything else, a missing file included. */
export async function isBaselineFile(path: string): Promise<boolean> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0);
    return bytesRead === MAGIC.length && buffer.toString("latin1") === MAGIC;
  } finally {
    await file.close();
  }
}

/** Writes a baseline window by window; nothing is at the path until `commit()`. */
export class BaselineWriter implements AsyncDisposable {
  readonly header: BaselineHeader;
  readonly #file: AtomicFile;
  readonly #table: Uint8Array;
  readonly #tableOffset: number;
  #written = 0;

  private constructor(header: BaselineHeader, file: AtomicFile, tableOffset: number) {
    this.header = header;
    this.#file = file;
    this.#tableOffset = tableOffset;
    this.#table = new Uint8Array(header.windows.length * ENTRY_BYTES);
  }

  /** @throws {PareError} when the path can't be written */
  static async create(path: string, header: BaselineHeader): Promise<BaselineWriter> {
    const json = new TextEncoder().encode(JSON.stringify(header));
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.write(MAGIC, "latin1");
    prefix.writeUInt32LE(VERSION, 8);
    prefix.writeUInt32LE(json.byteLength, 12);
    const file = await AtomicFile.create(path);
    const writer = new BaselineWriter(header, file, PREFIX_BYTES + json.byteLength);
    await file.write(prefix);
    await file.write(json);
    await file.write(writer.#table); // filled in by commit()
    return writer;
  }

  /** Appends the next of the header's windows. */
  async add(window: BaselineWindow): Promise<void> {
    const record = encodeWindow(window);
    const total = this.header.windows.length;
    if (this.#written === 0) await requireDisk(this.#file.path, record.byteLength * total);
    const entry = Buffer.from(this.#table.buffer, this.#written * ENTRY_BYTES, ENTRY_BYTES);
    entry.writeBigUInt64LE(BigInt(this.#file.sizeBytes), 0);
    entry.writeUInt32LE(record.byteLength, 8);
    entry.set(digest(record), 16);
    await this.#file.write(record);
    this.#written++;
  }

  /** @returns the file's size */
  async commit(): Promise<number> {
    if (this.#written !== this.header.windows.length) {
      throw new Error(
        `Cannot commit "${this.#file.path}": ${this.#written} of ${this.header.windows.length} windows were written`,
      );
    }
    await this.#file.write(this.#table, this.#tableOffset);
    await this.#file.commit();
    return this.#file.sizeBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

/** A baseline file, open for reading. */
export class BaselineReader implements AsyncDisposable {
  readonly path: string;
  readonly header: BaselineHeader;
  readonly sizeBytes: number;
  readonly #file: FileHandle;
  readonly #table: Buffer;
  readonly #positions: ReadonlyMap<number, number>;

  private constructor(path: string, header: BaselineHeader, sizeBytes: number, file: FileHandle, table: Buffer) {
    this.path = path;
    this.header = header;
    this.sizeBytes = sizeBytes;
    this.#file = file;
    this.#table = table;
    this.#positions = new Map(header.windows.map((window, position) => [window, position]));
  }

  /** @throws {FormatError} when it is no baseline file, a damaged one, or one of another version */
  static async open(path: string): Promise<BaselineReader> {
    const file = await open(path, "r").catch((cause: unknown) => {
      throw new FormatError(path, `Cannot read baseline "${path}": ${messageOf(cause)}`, { cause });
    });
    try {
      const { size } = await file.stat();
      const { header, tableOffset } = await readHeader(path, file, size);
      const tableBytes = header.windows.length * ENTRY_BYTES;
      const table = await readExactly(path, file, tableOffset, tableBytes, size);
      return new BaselineReader(path, header, size, file, table);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  has(window: number): boolean {
    return this.#positions.has(window);
  }

  /**
   * Reads one window.
   *
   * @param window its number in the text
   * @throws {PareError} when the file does not hold it
   * @throws {FormatError} when its record is damaged
   */
  async window(window: number): Promise<BaselineWindow> {
    const position = this.#positions.get(window);
    if (position === undefined) {
      throw new PareError(
        `Baseline "${this.path}" has no window ${window}: it holds ${this.header.windows.length} others`,
        {
          hint: "Write the baseline again over all windows that are to be compared",
        },
      );
    }
    const entry = this.#table.subarray(position * ENTRY_BYTES, (position + 1) * ENTRY_BYTES);
    const offset = Number(entry.readBigUInt64LE(0));
    const record = await readExactly(this.path, this.#file, offset, entry.readUInt32LE(8), this.sizeBytes);
    const damaged = (reason: string): FormatError =>
      new FormatError(this.path, `Cannot read baseline "${this.path}": window ${window} is damaged, ${reason}`, {
        hint: "Write the baseline again",
      });
    if (!digest(record).equals(entry.subarray(16))) throw damaged("its bytes don't match their checksum");
    try {
      return decodeWindow(record, this.header.contextLength, this.header.vocabularySize);
    } catch (error) {
      throw damaged(messageOf(error));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

async function readHeader(
  path: string,
  file: FileHandle,
  sizeBytes: number,
): Promise<{ header: BaselineHeader; tableOffset: number }> {
  const prefix = await readExactly(path, file, 0, Math.min(PREFIX_BYTES, sizeBytes), sizeBytes);
  if (prefix.length < PREFIX_BYTES || prefix.toString("latin1", 0, 8) !== MAGIC) {
    throw new FormatError(path, `Cannot read baseline "${path}": it does not start with ${MAGIC}`);
  }
  const version = prefix.readUInt32LE(8);
  if (version !== VERSION) {
    throw new FormatError(path, `Cannot read baseline "${path}": version ${version}, this Pare reads ${VERSION}`, {
      hint: "Write the baseline again with this version",
    });
  }
  const headerBytes = prefix.readUInt32LE(12);
  if (headerBytes > HEADER_BYTES_MAX) {
    throw new FormatError(
      path,
      `Cannot read baseline "${path}": a header of ${headerBytes} bytes exceeds ${HEADER_BYTES_MAX}`,
    );
  }
  const json = await readExactly(path, file, PREFIX_BYTES, headerBytes, sizeBytes);
  try {
    const header = baselineHeaderSchema.parse(JSON.parse(json.toString("utf8")));
    if (header.windows.some((window, i) => i > 0 && window <= header.windows[i - 1]!))
      throw new Error("its windows are not ascending");
    return { header, tableOffset: PREFIX_BYTES + headerBytes };
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error).replaceAll(/\s+/g, " ") : messageOf(error);
    throw new FormatError(path, `Cannot read baseline "${path}": its header is damaged, ${reason}`, { cause: error });
  }
}

async function readExactly(
  path: string,
  file: FileHandle,
  offset: number,
  length: number,
  sizeBytes: number,
): Promise<Buffer> {
  if (!Number.isSafeInteger(offset) || offset + length > sizeBytes) {
    throw new FormatError(
      path,
      `Cannot read baseline "${path}": ${length} bytes at ${offset} lie beyond its ${sizeBytes} bytes`,
      {
        hint: "The file may be cut off; write the baseline again",
      },
    );
  }
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) throw new FormatError(path, `Cannot read baseline "${path}": it ends at ${offset + done}`);
    done += bytesRead;
  }
  return bytes;
}

function digest(record: Uint8Array): Buffer {
  return createHash("sha256").update(record).digest().subarray(0, 8);
}
