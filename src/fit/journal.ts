// The journal of a fit: one JSON line for every finished step, synced before the next begins. A step that is in the
// journal is never done again, so an interrupted fit goes on where it stopped and decides as it would have decided.
import { type FileHandle, mkdir, open, readFile, truncate } from "node:fs/promises";
import { dirname } from "node:path";

import { FormatError } from "../errors.js";
import { writeFailure } from "../support/files.js";

/** One finished step. */
export interface JournalEntry {
  /** What was done, with everything that its result depends on. */
  key: string;
  value: unknown;
  /** Time that it took; counted against the budget, also after a restart. */
  seconds: number;
}

/** An append-only JSONL file of finished steps. */
export class Journal implements AsyncDisposable {
  readonly path: string;
  readonly #entries = new Map<string, JournalEntry>();
  readonly #handle: FileHandle;
  readonly resumedSteps: number;
  #secondsUsed = 0;
  #sizeBytes: number;
  /** The line that is being written: steps may end at the same time. */
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, handle: FileHandle, entries: JournalEntry[], sizeBytes: number) {
    this.path = path;
    this.#handle = handle;
    this.#sizeBytes = sizeBytes;
    for (const entry of entries) this.#remember(entry);
    this.resumedSteps = this.#entries.size;
  }

  /**
   * Opens a journal, or starts one. A torn last line, as `kill -9` leaves it, is cut off.
   *
   * @throws {FormatError} when a line before the last is damaged, or the last is no beginning of a step
   */
  static async open(path: string): Promise<Journal> {
    await mkdir(dirname(path), { recursive: true });
    const { entries, wholeBytes } = parse(path, await readFile(path).catch(() => Buffer.alloc(0)));
    const handle = await open(path, "a");
    await truncate(path, wholeBytes);
    return new Journal(path, handle, entries, wholeBytes);
  }

  /** Seconds of all steps so far, those of earlier runs included. */
  get secondsUsed(): number {
    return this.#secondsUsed;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** What steps came to, whose key fulfils something. */
  *results<T>(isWanted: (key: string) => boolean): Generator<[key: string, value: T]> {
    for (const [key, { value }] of this.#entries) if (isWanted(key)) yield [key, value as T];
  }

  /** Steps whose key begins so. */
  count(prefix: string): number {
    let count = 0;
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) count++;
    return count;
  }

  /** The step's result: remembered, or worked out now and written down. */
  async step<T>(key: string, work: () => Promise<T>): Promise<T> {
    const known = this.#entries.get(key);
    if (known) return known.value as T;
    const start = performance.now() - this.#secondsUsed * 1000;
    const value = await work(); // steps inside this one count for themselves
    const seconds = (performance.now() - start) / 1000 - this.#secondsUsed;
    const entry = { key, value, seconds: Math.max(0, Math.round(seconds * 1000) / 1000) };
    const written = this.#writing.then(() => this.#append(`${JSON.stringify(entry)}\n`));
    this.#writing = written.catch(() => undefined); // whoever waits for it is told
    await written;
    this.#remember(entry);
    // Through JSON and back, so that a first run sees exactly what a resumed one would.
    return JSON.parse(JSON.stringify(value ?? null)) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  /** On a full disk a part of the line may be there; the next line must not follow it. */
  async #append(line: string): Promise<void> {
    try {
      await this.#handle.appendFile(line);
      await this.#handle.sync();
    } catch (cause) {
      await truncate(this.path, this.#sizeBytes).catch(() => undefined);
      throw writeFailure(this.path, cause);
    }
    this.#sizeBytes += Buffer.byteLength(line);
  }

  #remember(entry: JournalEntry): void {
    this.#entries.set(entry.key, entry);
    this.#secondsUsed += entry.seconds;
  }
}

function parse(path: string, bytes: Buffer): { entries: JournalEntry[]; wholeBytes: number } {
  const wholeBytes = bytes.lastIndexOf(0x0a) + 1;
  const lines = bytes.toString("utf8").split("\n");
  const refuseLine = (index: number, problem: string, cause?: unknown): never => {
    const hint = "Remove the file to start over, if it is a journal";
    throw new FormatError(path, `Cannot read journal "${path}": line ${index + 1} ${problem}`, { hint, cause });
  };
  const torn = lines.pop()!;
  if (!isBeginning(torn)) refuseLine(lines.length, "is no step of a journal"); // what is cut off must be a journal's
  const entries = lines.map((line, index) => {
    const refuse = (problem: string, cause?: unknown): never => refuseLine(index, problem, cause);
    try {
      const entry = JSON.parse(line) as Partial<JournalEntry> | null;
      if (typeof entry?.key === "string" && typeof entry.seconds === "number") return entry as JournalEntry;
    } catch (cause) {
      return refuse("is no JSON", cause);
    }
    return refuse("is no step of a journal");
  });
  return { entries, wholeBytes };
}

/** Whether a line may be what was written of a step until the machine or the disk gave up. */
function isBeginning(line: string): boolean {
  return line.startsWith(LINE_START) || LINE_START.startsWith(line) || /^\0+$/u.test(line);
}

const LINE_START = '{"key":"';
