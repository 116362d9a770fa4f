// Names of the parts of a split model: `model-00001-of-00003.gguf`, as llama.cpp writes and finds them.

/** Where a path stands among the parts of a split model; undefined when its name is no such part's. */
export function parseSplitPath(
  path: string,
): { prefix: string; part: number; parts: number; suffix: string } | undefined {
  const match = /^(.*)-(\d{5})-of-(\d{5})\.gguf(\?[^/]*)?$/s.exec(path);
  if (!match) return undefined;
  return { prefix: match[1]!, part: Number(match[2]) - 1, parts: Number(match[3]), suffix: match[4] ?? "" };
}

/**
 * The path of one part.
 *
 * @param part counted from 0, while names count from 1
 */
export function splitPath(prefix: string, part: number, parts: number, suffix = ""): string {
  return `${prefix}-${String(part + 1).padStart(5, "0")}-of-${String(parts).padStart(5, "0")}.gguf${suffix}`;
}
