// The folder in which a fit works: journal, parts of the task, candidate files. It lies in the output folder and is named
// after everything that the results depend on, so that another request never meets this one's leftovers.
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";

import { quantize } from "../passes/quantize/quantize.js";
import { sha256, writeFileAtomic } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { type PlannedCandidate, isQuantizedSource } from "./candidates.js";

/** The name under which a written model mentions its importance data: no path, so that the same fit writes the same bytes anywhere. */
export const IMPORTANCE_NAME = "pare-calibration";
/** Candidate files that are kept for a later measurement, in bytes; further ones are made again when needed. */
const KEPT_BYTES = 8e9;

/** In an output folder, the lock of the fit that works there; it tells the name of that fit's workspace. */
export const LOCK = join(".pare", "lock");

export class Workspace {
  readonly folder: string;
  readonly journalPath: string;

  /** @param identity everything that decides the results: hashes, request, versions */
  constructor(out: string, identity: unknown) {
    this.folder = join(out, ".pare", sha256(JSON.stringify(identity)).slice(0, 12));
    this.journalPath = join(this.folder, "journal.jsonl");
  }

  get name(): string {
    return basename(this.folder);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Writes a text file unless it is there: it depends on nothing but the folder's name. */
  async text(name: string, content: string): Promise<string> {
    const path = this.path(name);
    if (!existsSync(path)) await writeFileAtomic(path, content);
    return path;
  }

  /**
   * A candidate's file, made when it is not there. Files appear whole, so that one that is there can be trusted.
   *
   * @param write makes it at a path
   */
  async candidateFile(candidate: PlannedCandidate, write: (path: string) => Promise<unknown>): Promise<string> {
    if (!candidate.quantize && !candidate.mix) return candidate.base.path;
    const path = this.path(`candidates/${candidate.id}.gguf`);
    if (existsSync(path)) return path;
    await mkdir(this.path("candidates"), { recursive: true });
    await this.#makeRoom(candidate.sizeBytes);
    await write(path);
    return path;
  }

  /** Removes candidate files and measurements of the baseline; the journal stays, so that the same request is answered at once. */
  async clear(): Promise<void> {
    for (const name of await readdir(this.folder)) {
      if (name !== "journal.jsonl") await rm(this.path(name), { recursive: true, force: true });
    }
  }

  /** Oldest files go first. */
  async #makeRoom(neededBytes: number): Promise<void> {
    const folder = this.path("candidates");
    const files = await Promise.all(
      (await readdir(folder)).map(async (name) => ({ path: join(folder, name), ...(await stat(join(folder, name))) })),
    );
    files.sort((a, b) => a.mtimeMs - b.mtimeMs);
    let total = neededBytes + files.reduce((sum, file) => sum + file.size, 0);
    for (const file of files) {
      if (total <= KEPT_BYTES) return;
      await rm(file.path, { force: true });
      total -= file.size;
    }
  }
}

/** Quantizes a candidate to a path. The same candidate gives the same bytes each time. */
export async function writeCandidate(
  candidate: PlannedCandidate,
  output: string,
  importance: string | undefined,
  threads: number | undefined,
  options: RunOptions,
) {
  const { preset, outputType, tokenEmbeddingType, overrides } = candidate.quantize!;
  return quantize(
    {
      input: candidate.base.path,
      output,
      type: preset,
      outputType,
      tokenEmbeddingType,
      tensorTypes: overrides?.map(({ pattern, type }) => ({ pattern, type })),
      allowRequantize: isQuantizedSource(candidate.base.model),
      threads,
      ...(importance ? { importance, importanceName: IMPORTANCE_NAME } : {}),
    },
    options,
  );
}
