// Types of the KV cache by measured divergence: keys and values apart, as keys suffer more. What was not measured as a
// pair is the sum of its two halves, measured with the other half in full.
import { ResourceError } from "../../errors.js";
import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";
import { kvCacheBytes } from "../../model/memory.js";
import type { ModelSpec } from "../../model/spec.js";
import { formatBytes, formatCount } from "../../support/units.js";

/** What llama.cpp's cache can hold and its attention can read, from large to small. */
export const CACHE_TYPES: readonly GgmlType[] = ["f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"];

/** A measured pair of types. */
export interface CacheMeasurement {
  readonly typeK: GgmlType;
  readonly typeV: GgmlType;
  readonly divergence: { readonly mean: number; readonly standardError: number };
}

/** A pair of types with what it takes. */
export interface CacheSize {
  readonly typeK: GgmlType;
  readonly typeV: GgmlType;
  /** Bytes of the cache at the context length. */
  readonly bytes: number;
}

/** A pair of types with what it takes and costs. */
export interface CacheChoice extends CacheSize {
  /** Mean KL divergence from a cache in f16, nats per token. */
  readonly divergence: number;
  /** False where it is the sum of two measurements. */
  readonly measured: boolean;
}

export interface CacheRequest {
  readonly spec: ModelSpec;
  /** Tokens. */
  readonly contextLength: number;
  readonly measurements: readonly CacheMeasurement[];
  /** Tokens computed at once, 512 by default. */
  readonly batch?: number;
}

/** The types for heads of so many elements: llama.cpp wants them to be whole blocks. Below f16 it needs flash attention. */
export function cacheTypes(headLength: number): GgmlType[] {
  return CACHE_TYPES.filter((type) => headLength % GGML_TYPES[type].blockSize === 0);
}

/** The smallest cache that llama.cpp can set up, whatever it costs in quality; of equals that of the larger types. */
export function smallestCache(spec: ModelSpec, contextLength: number): CacheSize {
  const sizes = cacheTypes(spec.headLengthK).flatMap((typeK) =>
    cacheTypes(spec.headLengthV).map((typeV) => ({
      typeK,
      typeV,
      bytes: kvCacheBytes(spec, contextLength, { typeK, typeV }),
    })),
  );
  return sizes.reduce((least, one) => (one.bytes < least.bytes ? one : least));
}

/** Every pair of which the divergence is known, smallest first; `f16` for both is always one. */
export function cacheChoices({ spec, contextLength, measurements, batch }: CacheRequest): CacheChoice[] {
  const found = (typeK: GgmlType, typeV: GgmlType) =>
    typeK === "f16" && typeV === "f16"
      ? 0
      : measurements.find((one) => one.typeK === typeK && one.typeV === typeV)?.divergence.mean;
  const choices: CacheChoice[] = [];
  for (const typeK of cacheTypes(spec.headLengthK)) {
    for (const typeV of cacheTypes(spec.headLengthV)) {
      const pair = found(typeK, typeV);
      const [keys, values] = [found(typeK, "f16"), found("f16", typeV)];
      const sum = keys === undefined || values === undefined ? undefined : keys + values;
      const divergence = pair ?? sum;
      if (divergence === undefined) continue;
      const bytes = kvCacheBytes(spec, contextLength, { typeK, typeV, ...(batch === undefined ? {} : { batch }) });
      choices.push({ typeK, typeV, bytes, divergence: Math.max(0, divergence), measured: pair !== undefined });
    }
  }
  return choices.sort((a, b) => a.bytes - b.bytes || a.divergence - b.divergence);
}

/**
 * The pair of least divergence whose cache is within the bytes; of equals the smaller.
 *
 * @throws {ResourceError} when the smallest cache that was measured is larger
 */
export function chooseCacheTypes(request: CacheRequest, bytesMax: number): CacheChoice {
  const choices = cacheChoices(request);
  const fitting = choices.filter(({ bytes }) => bytes <= bytesMax);
  if (fitting.length > 0) return fitting.reduce((best, one) => (one.divergence < best.divergence ? one : best));
  const smallest = choices[0]!;
  throw new ResourceError(
    `Cannot keep ${formatCount(request.contextLength)} tokens in ${formatBytes(bytesMax)}: the smallest KV cache ` +
      `(K ${smallest.typeK}, V ${smallest.typeV}) takes ${formatBytes(smallest.bytes)}`,
    { hint: "Ask for a shorter context, or measure smaller types" },
  );
}

/**
 * Shares memory between weights and cache: of all pairs the one with which the sum of both divergences is least. A smaller
 * cache leaves more bytes to the weights.
 *
 * @param memoryBytesMax for weights and cache together
 * @param weightsDivergence what weights within so many bytes come to; undefined when none fit
 * @returns undefined when no pair leaves room for weights
 */
export function shareMemory(
  request: CacheRequest,
  memoryBytesMax: number,
  weightsDivergence: (bytesMax: number) => number | undefined,
): (CacheChoice & { readonly weightsBytesMax: number }) | undefined {
  let best: (CacheChoice & { weightsBytesMax: number }) | undefined;
  let leastSum = Infinity;
  let leastDivergence = Infinity;
  for (const choice of cacheChoices(request)) {
    if (choice.divergence >= leastDivergence) continue; // a smaller pair was no worse
    leastDivergence = choice.divergence;
    const weightsBytesMax = memoryBytesMax - choice.bytes;
    const weights = weightsBytesMax > 0 ? weightsDivergence(weightsBytesMax) : undefined;
    if (weights === undefined || weights + choice.divergence >= leastSum) continue;
    leastSum = weights + choice.divergence;
    best = { ...choice, weightsBytesMax };
  }
  return best;
}
