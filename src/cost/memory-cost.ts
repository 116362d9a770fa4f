// Memory of a model at work, and what its kind of attention has to do with it.
import { kvCacheBytes, kvCacheBytesPerToken, memoryBytes, sizeBytesOf } from "../model/memory.js";
import type { Model } from "../model/model.js";
import type { ModelSpec } from "../model/spec.js";
import type { MemoryCost } from "./cost.js";

/**
 * Bytes of weights, caches and buffers with several answers at once, each with a cache of its own.
 *
 * @param options.contextLength tokens of one answer and its prompt
 * @param options.batch tokens computed at once, 512 by default
 */
export function memoryCost(
  model: Pick<Model, "spec" | "tensors">,
  options: { contextLength: number; concurrency: number; batch?: number },
): MemoryCost {
  const { contextLength, concurrency } = options;
  const weightsBytes = sizeBytesOf(model);
  const kvCache = concurrency * kvCacheBytes(model.spec, contextLength, options);
  const { compute } = memoryBytes(model, options);
  return {
    weightsBytes,
    kvCacheBytes: Math.round(kvCache),
    computeBytes: Math.round(compute),
    totalBytes: Math.round(weightsBytes + kvCache + compute),
    kvBytesPerToken: kvCacheBytesPerToken(model.spec),
    attention: attentionText(model.spec),
  };
}

/** Such as `grouped-query, 9 heads share 3 keys and values; 5 of 6 layers look back 1024 tokens`. */
export function attentionText(spec: ModelSpec): string {
  const attentive = spec.cache.filter(({ keyLength }) => keyLength > 0);
  if (attentive.length === 0) return "none: a recurrent state of fixed size";
  const [heads, shared] = [Math.max(...spec.heads), Math.max(...spec.kvHeads)];
  const isLatent = attentive.every(({ valueLength }) => valueLength === 0);
  const kind = isLatent
    ? "latent, keys and values in one compressed vector"
    : shared >= heads
      ? `multi-head, ${heads} ${heads === 1 ? "head" : "heads"}`
      : shared === 1
        ? `multi-query, ${heads} heads share 1 key and value`
        : `grouped-query, ${heads} heads share ${shared} keys and values`;
  const windowed = attentive.filter(({ window }) => window !== undefined);
  const parts = [kind];
  if (windowed.length > 0) {
    parts.push(`${windowed.length} of ${attentive.length} layers look back ${windowed[0]!.window} tokens`);
  }
  const recurrent = spec.cache.filter(({ stateBytes }) => stateBytes > 0).length;
  if (recurrent > 0) parts.push(`${recurrent} layers keep a recurrent state`);
  return parts.join("; ");
}
