// Models that Ollama has: a manifest by name and tag lists layers by their hash, and the layer of weights is a GGUF file.
// https://github.com/ollama/ollama/blob/main/docs/faq.md ("Where are models stored?")
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

import { FormatError, PareError, UsageError } from "../errors.js";
import { isJsonObject, readJsonFile } from "../formats/huggingface/json-file.js";
import { sizeOf } from "./cache.js";

const WEIGHTS = "application/vnd.ollama.image.model";

/** A model in Ollama's store. */
export interface OllamaModel {
  readonly name: string;
  /** The GGUF file. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Where Ollama keeps its models. */
export function ollamaFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return environment["OLLAMA_MODELS"] || join(homedir(), ".ollama", "models");
}

/**
 * Finds `name`, `name:tag` or `user/name:tag` in Ollama's store.
 *
 * @throws {PareError} when it is not there; the hint lists those that are
 */
export async function findOllamaModel(name: string, folder: string = ollamaFolder()): Promise<OllamaModel> {
  const match = /^(?:([A-Za-z0-9_-]+)\/)?([A-Za-z0-9._-]+)(?::([A-Za-z0-9._-]+))?$/.exec(name);
  if (!match) throw new UsageError(`"${name}" is no name of Ollama's`, { hint: "Write it like llama3.2:1b" });
  const [, user = "library", model, tag = "latest"] = match as unknown as [string, string?, string?, string?];
  const manifest = join(folder, "manifests", "registry.ollama.ai", user, model!, tag);
  const layers = (await readJsonFile(manifest))?.["layers"];
  if (layers === undefined) throw await notThere(name, folder);
  const layer = (Array.isArray(layers) ? layers : []).find((one) => isJsonObject(one) && one["mediaType"] === WEIGHTS);
  const [, sha256] = /^sha256:([0-9a-f]{64})$/.exec(String(layer?.digest)) ?? [];
  if (sha256 === undefined) throw new FormatError(manifest, `Cannot read "${manifest}": it names no weights`);
  const path = join(folder, "blobs", `sha256-${sha256}`);
  const sizeBytes = await sizeOf(path);
  if (sizeBytes === undefined || sizeBytes !== layer.size) {
    throw new FormatError(path, `Cannot read "${path}": it has ${sizeBytes ?? "no"} of ${layer.size} bytes`, {
      hint: `Run: ollama pull ${name}`,
    });
  }
  return { name, path, sizeBytes, sha256 };
}

async function notThere(name: string, folder: string): Promise<PareError> {
  const library = join(folder, "manifests", "registry.ollama.ai", "library");
  const models = await readdir(library).catch(() => []);
  const hint =
    models.length > 0 ? `It has ${models.join(", ")}; or run: ollama pull ${name}` : `Run: ollama pull ${name}`;
  return new PareError(`Ollama has no model "${name}" in "${folder}"`, { hint });
}
