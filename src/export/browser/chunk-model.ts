// The model's file cut into pieces that any web host takes (Cloudflare Pages has the lowest limit, 25 MiB a file). A piece is
// named by its content, so that a visitor's browser fetches only what changed.
import { createReadStream } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { requireDisk, sha256, writeFailure, writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";

const CHUNK_BYTES = 24 * 2 ** 20;
const CHUNK_NAME = /^[0-9a-f]{16}\.bin$/;

/** A piece of the model's file. */
export interface Chunk {
  /** Relative to the exported folder. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Writes the pieces into `model/` of the folder, and removes those of another model. */
export async function chunkModel(
  file: string,
  folder: string,
  options: RunOptions & { chunkBytes?: number | undefined } = {},
): Promise<Chunk[]> {
  const { chunkBytes: highWaterMark = CHUNK_BYTES, signal } = options;
  const { size } = await stat(file);
  const into = join(folder, "model");
  await mkdir(into, { recursive: true }).catch((cause: unknown) => {
    throw writeFailure(into, cause);
  });
  await requireDisk(into, size);
  const chunks: Chunk[] = [];
  let done = 0;
  for await (const bytes of createReadStream(file, { highWaterMark, signal })) {
    chunks.push(await writeChunk(folder, bytes as Buffer));
    done += (bytes as Buffer).byteLength;
    options.onProgress?.({ stage: "writing", done, total: size, unit: "bytes" });
  }
  const kept = new Set(chunks.map(({ path }) => path));
  const others = (await readdir(into)).filter((name) => CHUNK_NAME.test(name) && !kept.has(`model/${name}`));
  for (const name of others) await rm(join(into, name));
  return chunks;
}

async function writeChunk(folder: string, bytes: Buffer): Promise<Chunk> {
  const hash = sha256(bytes);
  const path = `model/${hash.slice(0, 16)}.bin`;
  await writeFileAtomic(join(folder, path), bytes);
  return { path, sizeBytes: bytes.byteLength, sha256: hash };
}
