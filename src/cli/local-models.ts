// Models named by where they are published, `hf:org/name:file.gguf` or `ollama:name:tag`, in place of a path: pulled, or
// found where they lie. The commands see paths alone.
import { UsageError } from "../errors.js";
import type { RunOptions } from "../support/progress.js";

const PUBLISHED = /^(hf|ollama):/;

/** An argument, or each of a list, with a path in place of such a name. */
export async function withLocalModels(given: unknown, options: RunOptions): Promise<unknown> {
  if (typeof given === "string") return PUBLISHED.test(given) ? localModel(given, options) : given;
  if (!Array.isArray(given)) return given;
  const results: unknown[] = [];
  for (const one of given) results.push(await withLocalModels(one, options));
  return results;
}

async function localModel(name: string, options: RunOptions): Promise<string> {
  const { pull } = await import("../hub/pull.js");
  const { path } = await pull({ model: name }, options);
  if (path.endsWith(".gguf") || name.startsWith("ollama:")) return path;
  throw new UsageError(`"${name}" is no GGUF file, and this command wants one`, {
    hint: `Run: pare convert ${name} MODEL.gguf`,
  });
}
