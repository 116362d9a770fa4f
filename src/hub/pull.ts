// `pull`: a model from the hub into Hugging Face's cache, or found there, or found in Ollama's store. Nothing that is there
// is downloaded again, and nothing but safetensors, GGUF and the texts beside them is downloaded at all.
import { join } from "node:path";

import { PareError } from "../errors.js";
import type { RunOptions } from "../support/progress.js";
import { RepositoryCache, sizeOf } from "./cache.js";
import { cachedModel } from "./cached-model.js";
import { chooseFiles } from "./choose-files.js";
import { HubClient, NetworkError } from "./client.js";
import { download } from "./download.js";
import { type HubFile, commitOf, listFiles } from "./list-files.js";
import { findOllamaModel } from "./ollama.js";
import { type HubReference, parseReference, withFile } from "./reference.js";
import { type HubSettings, hubSettings } from "./settings.js";

/** What to pull. */
export interface PullRequest {
  /** `org/name`, with `@revision` or `:file` behind it where wanted; the address of its page; or `ollama:name:tag`. */
  model: string;
  /** Branch, tag or commit; `main` by default. */
  revision?: string | undefined;
  /** One file of the repository, such as one of several GGUF files. */
  file?: string | undefined;
  /** Where the hub and the cache are; from the environment by default. */
  settings?: HubSettings | undefined;
}

/** What is there now. */
export interface PullResult {
  /** The folder of safetensors, or the GGUF file. */
  path: string;
  repository: string;
  /** The commit; absent for a model of Ollama's. */
  revision?: string | undefined;
  files: PulledFile[];
  /** Bytes that had to be downloaded. */
  bytesDownloaded: number;
  warnings: string[];
}

export interface PulledFile {
  path: string;
  sizeBytes: number;
  /** Of files that are stored outside git, which weights are. */
  sha256?: string | undefined;
}

/**
 * Gets a model.
 *
 * @throws {HubError} when the hub refuses
 * @throws {NetworkError} when it can't be reached and the cache has no such model
 * @throws {FormatError} when what came is not what the hub said
 * @example
 * const { path } = await pull({ model: "HuggingFaceTB/SmolLM2-135M-Instruct" });
 */
export async function pull(request: PullRequest, options: RunOptions = {}): Promise<PullResult> {
  options.signal?.throwIfAborted();
  if (request.model.startsWith("ollama:")) return pullFromOllama(request.model.slice("ollama:".length));
  return pullFromHub(new HubClient(request.settings ?? hubSettings()), request, options);
}

/** The same from a hub whose client is given. */
export async function pullFromHub(client: HubClient, request: PullRequest, options: RunOptions): Promise<PullResult> {
  const written = parseReference(request.model);
  const reference = withFile(
    { ...written, revision: request.revision ?? written.revision },
    request.file ?? written.file,
  );
  const { settings } = client;
  const cache = new RepositoryCache(settings.cache, reference.repository);
  if (settings.isOffline) return offline(cache, reference, new PareError("HF_HUB_OFFLINE is set"));
  try {
    return await online(client, cache, reference, options);
  } catch (error) {
    if (error instanceof NetworkError) return offline(cache, reference, error);
    throw error;
  }
}

async function online(
  client: HubClient,
  cache: RepositoryCache,
  reference: HubReference,
  options: RunOptions,
): Promise<PullResult> {
  const { repository, revision } = reference;
  const commit = await commitOf(client, reference, options);
  const files = chooseFiles(repository, await listFiles(client, repository, commit, options), reference.file);
  const missing: HubFile[] = [];
  for (const file of files) if (!(await cache.has(commit, file))) missing.push(file);
  const bytesDownloaded = await fetchAll(client, cache, { repository, commit, files: missing }, options);
  await cache.rememberCommit(revision, commit);
  return {
    path: pathOf(cache.snapshot(commit), files),
    repository,
    revision: commit,
    files: files.map(({ path, sizeBytes, hash }) => ({
      path,
      sizeBytes,
      sha256: hash.algorithm === "sha256" ? hash.hex : undefined,
    })),
    bytesDownloaded,
    warnings: [],
  };
}

async function fetchAll(
  client: HubClient,
  cache: RepositoryCache,
  { repository, commit, files }: { repository: string; commit: string; files: readonly HubFile[] },
  options: RunOptions,
): Promise<number> {
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  let bytesDownloaded = 0;
  for (const file of files) {
    const target = cache.blob(file);
    if ((await sizeOf(target)) !== file.sizeBytes) {
      let isFirst = true; // the first count is what an earlier run has left
      await download(
        client,
        { repository, commit, file, target },
        {
          signal: options.signal,
          onBytes: (count) => {
            done += count;
            if (!isFirst) bytesDownloaded += count;
            isFirst = false;
            options.onProgress?.({ stage: "downloading", done, total, unit: "bytes", detail: file.path });
          },
        },
      );
    } else done += file.sizeBytes;
    await cache.place(commit, file);
  }
  return bytesDownloaded;
}

/** What the cache has, when nobody can be asked. */
async function offline(cache: RepositoryCache, reference: HubReference, reason: PareError): Promise<PullResult> {
  const found = await cachedModel(cache, reference);
  if (!found) {
    throw new PareError(`${reason.message}, and "${reference.repository}" is not in "${cache.folder}"`, {
      hint: reason.hint ?? "Unset HF_HUB_OFFLINE to download it",
      cause: reason,
    });
  }
  const folder = cache.snapshot(found.commit);
  const files = await Promise.all(
    found.files.map(async (path) => ({ path, sizeBytes: (await sizeOf(join(folder, path))) ?? 0 })),
  );
  return {
    path: pathOf(folder, files),
    repository: reference.repository,
    revision: found.commit,
    files,
    bytesDownloaded: 0,
    warnings: [`${reason.message}; the copy in the cache was taken, unchecked`],
  };
}

async function pullFromOllama(name: string): Promise<PullResult> {
  const { path, sizeBytes, sha256 } = await findOllamaModel(name);
  const files = [{ path, sizeBytes, sha256 }];
  return { path, repository: `ollama:${name}`, files, bytesDownloaded: 0, warnings: [] };
}

/** A GGUF model is its (first) file; safetensors are their folder. */
function pathOf(folder: string, files: readonly { path: string }[]): string {
  const gguf = files.map(({ path }) => path).filter((path) => path.endsWith(".gguf"));
  if (gguf.length > 0) return join(folder, gguf.sort()[0]!);
  return files.length === 1 ? join(folder, files[0]!.path) : folder;
}
