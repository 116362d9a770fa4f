// The tokenizer's files of an export: those of the model that it was converted from, byte for byte, where that is at hand, else
// written anew from what GGUF keeps.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

import { FormatError, messageOf } from "../../errors.js";
import { readTokenizerFiles } from "../../formats/huggingface/tokenizer-files.js";
import { restoreTokenizer } from "../../formats/huggingface/restore-tokenizer.js";
import { readVocabulary } from "../../formats/huggingface/vocabulary.js";
import { RepositoryCache } from "../../hub/cache.js";
import { type HubSettings, hubSettings } from "../../hub/settings.js";
import type { Model } from "../../model/model.js";
import { addsBos } from "../model-facts.js";

/** Files by name, and where they are from. */
export interface ExportedTokenizer {
  readonly files: ReadonlyMap<string, string | Uint8Array>;
  /** The folder that they were copied from; undefined when they were restored. */
  readonly source?: string | undefined;
}

const NAMES =
  /^(tokenizer\.json|tokenizer\.model|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.json|merges\.txt|chat_template\.(jinja|json))$/;

/**
 * @param folder of the checkpoint; Hugging Face's cache is looked into where the model says where it is from
 * @throws {FormatError} when the folder's tokens are not the model's
 */
export async function exportedTokenizer(
  model: Model,
  options: { folder?: string | undefined; settings?: HubSettings } = {},
): Promise<ExportedTokenizer> {
  const { folder, settings = hubSettings() } = options;
  if (folder !== undefined) {
    const difference = await differenceOf(folder, model);
    if (difference) throw new FormatError(folder, `Cannot take the tokenizer of "${folder}": ${difference}`);
    return { files: await readFiles(folder), source: folder };
  }
  const cached = await cachedFolder(model, settings);
  if (cached !== undefined && !(await differenceOf(cached, model))) {
    return { files: await readFiles(cached), source: cached };
  }
  const restoring = { path: model.path ?? "model", addsBos: addsBos(model.metadata) };
  const { json, config } = restoreTokenizer(model.metadata, restoring);
  const text = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return {
    files: new Map([
      ["tokenizer.json", text(json)],
      ["tokenizer_config.json", text(config)],
    ]),
  };
}

/** How a folder's tokens differ from the model's; undefined when they are the same. */
async function differenceOf(folder: string, { metadata }: Model): Promise<string | undefined> {
  const tokens = metadata.array("tokenizer.ggml.tokens")?.strings() ?? [];
  try {
    const files = await readTokenizerFiles(folder);
    const preTokenizer = metadata.string("tokenizer.ggml.pre");
    const found = readVocabulary(files, { size: tokens.length, preTokenizer }).tokens;
    const id = tokens.findIndex((token, index) => token !== found[index]);
    if (id < 0) return undefined;
    return `token ${id} is ${JSON.stringify(found[id])} there and ${JSON.stringify(tokens[id])} in the model`;
  } catch (error) {
    return messageOf(error);
  }
}

/** Where the commit that the model was converted from lies, if it is in the cache. */
async function cachedFolder({ metadata }: Model, { cache }: HubSettings): Promise<string | undefined> {
  const repository = /^https:\/\/huggingface\.co\/([^/]+\/[^/]+)$/.exec(
    metadata.string("general.source.repo_url") ?? "",
  )?.[1];
  const revision = metadata.string("general.source.revision");
  if (repository === undefined || revision === undefined || !/^[0-9a-f]{40}$/.test(revision)) return undefined;
  const folder = new RepositoryCache(cache, repository).snapshot(revision);
  return readdir(folder).then(
    (names) => (names.some((name) => NAMES.test(name)) ? folder : undefined),
    () => undefined,
  );
}

async function readFiles(folder: string): Promise<Map<string, Uint8Array>> {
  const names = (await readdir(folder)).filter((name) => NAMES.test(name)).sort();
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
}
