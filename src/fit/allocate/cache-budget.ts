// How many bytes the KV cache may have at which context length, as people write it, and whether that can be at all.
import { ResourceError, UsageError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { ModelSpec } from "../../model/spec.js";
import { formatBytes, formatCount, parseBytes } from "../../support/units.js";
import { smallestCache } from "./kv-cache.js";

/** Most bytes for the cache of so many tokens. */
export interface CacheBudget {
  readonly bytesMax: number;
  /** Tokens. */
  readonly contextLength: number;
}

/** A cache whose types are given. */
export interface CacheTypes {
  readonly typeK: GgmlType;
  readonly typeV: GgmlType;
  /** Tokens. */
  readonly contextLength: number;
}

/**
 * Reads bytes at a context length, such as `16MB@4096` or `1.5GiB@32k`.
 *
 * @throws {UsageError} when the text is none
 */
export function parseCacheBudget(text: string): CacheBudget {
  const [, size, tokens, thousands] = /^(.*[a-z])@(\d+)(k?)$/i.exec(text.trim()) ?? [];
  const contextLength = Number(tokens) * (thousands ? 1024 : 1);
  if (size !== undefined && contextLength > 0) {
    try {
      const bytesMax = parseBytes(size);
      if (bytesMax > 0) return { bytesMax, contextLength };
    } catch {
      // The complaint below says how it is written.
    }
  }
  throw new UsageError(`"${text}" is no room for a KV cache`, {
    hint: "Write the most bytes at a context length in tokens, like 16MB@4096",
  });
}

/**
 * Refuses what even the smallest types exceed, before anything is measured.
 *
 * @throws {ResourceError} naming the smallest cache
 */
export function requireCacheRoom(spec: ModelSpec, { bytesMax, contextLength }: CacheBudget): void {
  const { typeK, typeV, bytes } = smallestCache(spec, contextLength);
  if (bytes <= bytesMax) return;
  throw new ResourceError(
    `Cannot keep ${formatCount(contextLength)} tokens in ${formatBytes(bytesMax)}: the smallest KV cache ` +
      `(K ${typeK}, V ${typeV}) takes ${formatBytes(bytes)}`,
    { hint: `Ask for ${bytes}B or more, or for a shorter context` },
  );
}
