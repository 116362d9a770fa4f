// One file from the hub into the cache. What has come so far lies under `<hash>.incomplete`, as Hugging Face's own tools
// leave it; a later run goes on from there. It gets its name only when its size and its hash are what the hub said.
import { type Hash, createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

import { FormatError, PareError, isAbortError } from "../errors.js";
import { requireDisk, writeFailure } from "../support/files.js";
import { sizeOf } from "./cache.js";
import { type HubClient, HubError, networkFailure } from "./client.js";
import type { HubFile } from "./list-files.js";

/** Attempts without a byte more than before. */
const FRUITLESS_MAX = 4;

/** What to download, and where to. */
export interface Download {
  repository: string;
  commit: string;
  file: HubFile;
  /** Where it is to lie. */
  target: string;
}

/**
 * Downloads a file.
 *
 * @param onBytes told of each piece's length, and first of what was there already
 * @throws {FormatError} when what came is not what the hub said
 * @throws {PareError} when the hub refuses, or sends no more
 */
export async function download(
  client: HubClient,
  request: Download,
  options: { signal?: AbortSignal | undefined; onBytes?: (count: number) => void },
): Promise<void> {
  const { file, target } = request;
  const incomplete = `${target}.incomplete`;
  await mkdir(dirname(target), { recursive: true }).catch((cause: unknown) => {
    throw writeFailure(target, cause);
  });
  const hash = await resumedHash(incomplete, file, options.signal);
  options.onBytes?.(hash.sizeBytes);
  await requireDisk(target, file.sizeBytes - hash.sizeBytes);
  for (let fruitless = 0; hash.sizeBytes < file.sizeBytes;) {
    const before = hash.sizeBytes;
    const failure = await fetchRest(client, request, incomplete, hash, options);
    if (!failure) break;
    fruitless = hash.sizeBytes > before ? 0 : fruitless + 1;
    if (fruitless === FRUITLESS_MAX) throw failure;
    await client.pause(2 ** fruitless / 2, options.signal);
  }
  await verify(request, incomplete, hash);
  await rename(incomplete, target).catch((cause: unknown) => {
    throw writeFailure(target, cause);
  });
}

/** A hash of the bytes so far, and their count. */
class RunningHash {
  sizeBytes = 0;
  readonly #hash: Hash;

  constructor({ hash, sizeBytes }: HubFile) {
    this.#hash = createHash(hash.algorithm === "sha256" ? "sha256" : "sha1");
    if (hash.algorithm === "git") this.#hash.update(`blob ${sizeBytes}\0`);
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.sizeBytes += bytes.byteLength;
  }

  digest(): string {
    return this.#hash.digest("hex");
  }
}

/** Reads what an earlier run has left; more than the whole is of no use. */
async function resumedHash(incomplete: string, file: HubFile, signal: AbortSignal | undefined): Promise<RunningHash> {
  const hash = new RunningHash(file);
  const size = await sizeOf(incomplete);
  if (size === undefined) return hash;
  if (size > file.sizeBytes) await rm(incomplete, { force: true });
  else for await (const chunk of createReadStream(incomplete, { signal })) hash.update(chunk as Buffer);
  return hash;
}

/** Appends what is missing. @returns why it ended early, or nothing */
async function fetchRest(
  client: HubClient,
  { repository, commit, file }: Download,
  incomplete: string,
  hash: RunningHash,
  options: { signal?: AbortSignal | undefined; onBytes?: (count: number) => void },
): Promise<PareError | undefined> {
  const what = `"${file.path}" of "${repository}"`;
  const path = `/${repository}/resolve/${commit}/${file.path.split("/").map(encodeURIComponent).join("/")}`;
  const start = hash.sizeBytes;
  const { signal } = options;
  const response = await client.get(path, what, { ...(signal && { signal }), headers: range(start) });
  requireRange(what, response, start);
  const output = await open(incomplete, start === 0 ? "w" : "a").catch((cause: unknown) => {
    throw writeFailure(incomplete, cause);
  });
  try {
    for await (const chunk of response.body ?? []) {
      if (hash.sizeBytes + chunk.byteLength > file.sizeBytes) return tooLong(what, file);
      await output.writeFile(chunk).catch((cause: unknown) => {
        throw writeFailure(incomplete, cause);
      });
      hash.update(chunk);
      options.onBytes?.(chunk.byteLength);
    }
  } catch (cause) {
    if (signal?.aborted || isAbortError(cause) || cause instanceof PareError) throw cause;
    return networkFailure(what, client.settings.endpoint, cause);
  } finally {
    await output.close();
  }
  return hash.sizeBytes < file.sizeBytes ? tooShort(what, hash.sizeBytes, file) : undefined;
}

function range(start: number): Record<string, string> {
  return start === 0 ? {} : { range: `bytes=${start}-` };
}

function requireRange(what: string, response: Response, start: number): void {
  if (start === 0 && response.status === 200) return;
  const first = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (response.status === 206 && Number(first) === start) return;
  void response.body?.cancel();
  throw new HubError(response.status, `Cannot get ${what}: the server does not go on from byte ${start}`, {
    hint: "Remove the .incomplete file in the cache, and try again",
  });
}

async function verify({ repository, file }: Download, incomplete: string, hash: RunningHash): Promise<void> {
  if (file.sizeBytes === 0) await (await open(incomplete, "w")).close(); // nothing had to come
  const found = hash.digest();
  if (found === file.hash.hex && hash.sizeBytes === file.sizeBytes) return;
  await rm(incomplete, { force: true });
  const kind = file.hash.algorithm === "sha256" ? "SHA-256" : "git hash";
  const message = `"${file.path}" of "${repository}" has ${kind} ${found}, and the hub says ${file.hash.hex}`;
  throw new FormatError(file.path, message, { hint: "What came was removed; try again" });
}

function tooShort(what: string, found: number, file: HubFile): PareError {
  return new PareError(`Cannot get ${what}: the server sent ${found} of ${file.sizeBytes} bytes`, {
    hint: "Try again; it goes on from there",
  });
}

function tooLong(what: string, file: HubFile): PareError {
  return new PareError(`Cannot get ${what}: the server sent more than its ${file.sizeBytes} bytes`);
}
