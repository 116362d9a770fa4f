// The weights of a checkpoint folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { FormatError, PareError, messageOf } from "../../errors.js";
import type { SafetensorsInfo } from "../safetensors/read-header.js";
import { type SafetensorsFile, readSafetensors } from "../safetensors/read.js";
import { isJsonObject, readJsonFile } from "./json-file.js";

const INDEX = "model.safetensors.index.json";

/** A tensor and where its bytes are: in a file, or made of others as they are read. */
export interface Weight extends Pick<SafetensorsInfo, "name" | "shape" | "sizeBytes"> {
  /** As safetensors spell it, or a ggml block type in capitals. */
  readonly dtype: string;
  readonly file: { readonly path: string };
  /** Reads bytes [start, start + length). */
  read(start: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** All tensors of a folder by name. */
export interface Weights extends AsyncDisposable {
  readonly tensors: ReadonlyMap<string, Weight>;
  readonly files: readonly SafetensorsFile[];
}

/**
 * Opens the weights of a folder.
 *
 * @throws {FormatError} when a shard is missing or damaged, or holds other tensors than the index says
 * @throws {PareError} when there are no safetensors
 */
export async function openWeights(folder: string, options: { signal?: AbortSignal } = {}): Promise<Weights> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new PareError(`Cannot read "${folder}": ${messageOf(cause)}`, { cause });
  });
  const places = names.includes(INDEX) ? await readIndex(join(folder, INDEX)) : undefined;
  const shards = places ? [...new Set(places.values())].sort() : shardsWithoutIndex(folder, names);
  const missing = shards.filter((name) => !names.includes(name));
  if (missing.length > 0) throw missingShards(folder, missing, shards.length);
  const files: SafetensorsFile[] = [];
  const close = async () => void (await Promise.all(files.map((file) => file.close())));
  try {
    for (const name of shards) files.push(await readSafetensors(join(folder, name), options));
    const tensors = gather(files);
    if (places) checkIndex(folder, places, tensors);
    return { tensors, files, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Which shard holds each tensor, by the index. */
async function readIndex(path: string): Promise<Map<string, string>> {
  const map = (await readJsonFile(path))?.["weight_map"];
  if (!isJsonObject(map)) throw new FormatError(path, `Cannot read "${path}": it has no weight_map`);
  return new Map(
    Object.entries(map).map(([name, shard]) => {
      if (typeof shard === "string" && /^[^/\\]+\.safetensors$/.test(shard)) return [name, shard];
      const found = JSON.stringify(shard);
      throw new FormatError(path, `Cannot read "${path}": tensor "${name}" would be in ${found}, no file beside it`);
    }),
  );
}

function shardsWithoutIndex(folder: string, names: readonly string[]): string[] {
  if (names.includes("model.safetensors")) return ["model.safetensors"];
  const others = names.filter((name) => name.endsWith(".safetensors"));
  if (others.length === 1) return others;
  const isSplit = others.some((name) => /-of-\d+\.safetensors$/.test(name));
  if (isSplit) throw new PareError(`Cannot read "${folder}": its weights are split, and "${INDEX}" is missing`);
  const pickles = names.filter((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  throw new PareError(`Cannot read "${folder}": there is no model.safetensors`, {
    hint:
      pickles.length > 0
        ? `"${pickles[0]}" is a pickle, which can run any program when it is read; look for a revision with safetensors`
        : "Name a folder with config.json, the tokenizer and *.safetensors",
  });
}

function gather(files: readonly SafetensorsFile[]): Map<string, Weight> {
  const tensors = new Map<string, Weight>();
  for (const file of files) {
    for (const tensor of file.tensors.values()) {
      const twin = tensors.get(tensor.name);
      if (twin) {
        const message = `Cannot read "${file.path}": tensor "${tensor.name}" is in "${twin.file.path}" too`;
        throw new FormatError(file.path, message);
      }
      const { name, dtype, shape, sizeBytes } = tensor;
      const read: Weight["read"] = (start, length, into) => file.read(tensor, start, length, into);
      tensors.set(name, { name, dtype, shape, sizeBytes, file, read });
    }
  }
  return tensors;
}

function checkIndex(folder: string, places: ReadonlyMap<string, string>, tensors: ReadonlyMap<string, Weight>): void {
  for (const [name, shard] of places) {
    const path = join(folder, shard);
    if (tensors.get(name)?.file.path === path) continue;
    throw new FormatError(path, `Cannot read "${path}": tensor "${name}" is not in it, and the index says so`, {
      hint: "The shards are not of one checkpoint; download it again",
    });
  }
}

function missingShards(folder: string, missing: readonly string[], total: number): FormatError {
  const path = join(folder, missing[0]!);
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : "";
  const message = `Cannot read "${folder}": "${missing[0]}"${more} of ${total} shards are missing`;
  return new FormatError(path, message, { hint: "The checkpoint is incomplete; copy or download it again" });
}
