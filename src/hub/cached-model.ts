// A model that is in Hugging Face's cache already, judged by its files alone: what is used when nobody can be asked.
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { isJsonObject, readJsonFile } from "../formats/huggingface/json-file.js";
import { type RepositoryCache, sizeOf } from "./cache.js";
import type { HubReference } from "./reference.js";

/** The folder of a cached commit that has the file, or a whole model; undefined when there is none. */
export async function cachedModel(
  cache: RepositoryCache,
  reference: HubReference,
): Promise<{ commit: string; files: string[] } | undefined> {
  const commit = await cache.commitOf(reference.revision);
  if (commit === undefined) return undefined;
  const folder = cache.snapshot(commit);
  const files = await readdir(folder).catch((): string[] => []);
  if (reference.file !== undefined) {
    const isThere = (await sizeOf(join(folder, reference.file))) !== undefined;
    return isThere ? { commit, files: [reference.file] } : undefined;
  }
  const wanted = await weightFiles(folder, files);
  if (wanted.length === 0 || wanted.some((name) => !files.includes(name))) return undefined;
  const sizes = await Promise.all(wanted.map((name) => sizeOf(join(folder, name)))); // a link may lead nowhere
  return sizes.includes(undefined) ? undefined : { commit, files };
}

/** The shards that the index names, or the weights that there are. */
async function weightFiles(folder: string, files: readonly string[]): Promise<string[]> {
  const index = await readJsonFile(join(folder, "model.safetensors.index.json"));
  const map = index?.["weight_map"];
  if (isJsonObject(map)) return [...new Set(Object.values(map).map(String)), "config.json"];
  const weights = files.filter((name) => name.endsWith(".safetensors"));
  if (weights.length > 0) return [...weights, "config.json"];
  const ggufs = files.filter((name) => name.endsWith(".gguf"));
  return ggufs.length === 1 ? ggufs : [];
}
