// A model with an adapter as one to start from, written `model.gguf+adapter.gguf`: the adapter is merged into it, in a file that is there
// as long as the fit runs. The same two files give the same bytes, so an interrupted fit finds its journal again.
import { access } from "node:fs/promises";
import { basename, join } from "node:path";

import { FormatError } from "../errors.js";
import { openModel } from "../model/open.js";
import { merge } from "../passes/adapt/merge.js";
import { sha256, sha256File } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";

/** A file that a model to start from was read from. */
export interface Source {
  role: "model" | "adapter";
  path: string;
}

/** `model.gguf+adapter.gguf` as two paths, anything else as one. */
export function pathsOf(spec: string): [model: string, adapter?: string] {
  const [, model, adapter] = /^(.+\.gguf)\+(.+)$/su.exec(spec) ?? [];
  return model === undefined ? [spec] : [model, adapter];
}

/** The same without folders. */
export function baseNameOf(spec: string): string {
  return pathsOf(spec)
    .map((path) => basename(path!))
    .join("+");
}

/**
 * Merges an adapter into its model, as `pare adapt --merge` does.
 *
 * @param folder to write to
 * @returns the file that was written, to be removed in the end, and what it came from
 * @throws {FormatError} when the adapter is none, or of another model
 */
export async function mergeBase(
  [model, adapter]: readonly [string, string],
  folder: string,
  options: RunOptions,
): Promise<{ path: string; sources: Source[] }> {
  await access(adapter).catch((cause: unknown) => {
    throw new FormatError(adapter, `Cannot merge "${adapter}" into "${model}": there is no such adapter`, { cause });
  });
  await using opened = await openModel(model, options);
  const hashes = [await sha256File(opened.parts!, options.signal), await sha256File(adapter, options.signal)];
  const output = join(folder, `merged-${sha256(hashes.join()).slice(0, 12)}.gguf`);
  options.onProgress?.({ stage: "merging", done: 0, total: 1, unit: "adapters", detail: adapter });
  await merge({ model, adapter, output }, options);
  return {
    path: output,
    sources: [...opened.parts!.map((path): Source => ({ role: "model", path })), { role: "adapter", path: adapter }],
  };
}
