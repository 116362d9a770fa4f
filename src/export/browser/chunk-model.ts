// The model's file cut into pieces that any web host takes (Cloudflare Pages has the lowest limit, 25 MiB a file). A piece is
// named by its content, so that a visitor's browser fetches only what changed.
import { createReadStream } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { requireDisk, sha256, writeFailure, writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";

const CHUNK_BYTES = 24 * 2 ** 20;
/** Pieces of the model, and builds of the engine. */
const PIECE_NAME = /^(model\/[0-9a-f]{16}\.bin|(single|multi)-[0-9a-f]{16}\.wasm)$/;

/** A piece of the model's file. */
export interface Chunk {
  /** Relative to the exported folder. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Writes the pieces into `model/` of the folder. */
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
  return chunks;
}

/** Removes pieces of other exports: last, so that a folder whose export was cut off is still the older one's. */
export async function removeOtherPieces(folder: string, kept: ReadonlySet<string>): Promise<void> {
  const pieces = (await readdir(join(folder, "model"))).map((name) => `model/${name}`);
  for (const path of [...pieces, ...(await readdir(folder))]) {
    if (PIECE_NAME.test(path) && !kept.has(path)) await rm(join(folder, path));
  }
}

async function writeChunk(folder: string, bytes: Buffer): Promise<Chunk> {
  const hash = sha256(bytes);
  const path = `model/${hash.slice(0, 16)}.bin`;
  await writeFileAtomic(join(folder, path), bytes);
  return { path, sizeBytes: bytes.byteLength, sha256: hash };
}
