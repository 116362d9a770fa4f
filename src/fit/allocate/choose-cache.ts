// From a wish for the KV cache to its types, measured only as far as the choice needs it: a cache in f16 is what the others
// are compared with, so where it fits, nothing is measured.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { kvCacheBytes } from "../../model/memory.js";
import type { CacheBudget, CacheTypes } from "./cache-budget.js";
import type { CacheMeter } from "./cache-meter.js";
import { type CacheChoice, type CacheMeasurement, type CacheSize, chooseCacheTypes } from "./kv-cache.js";

/** The cache that a file was made for. */
export interface CacheOutcome {
  typeK: GgmlType;
  typeV: GgmlType;
  /** Bytes of the cache of so many tokens. */
  sizeBytes: number;
  /** Tokens that the cache holds. */
  contextLength: number;
  /** KL divergence of the full-precision model with this cache from itself with one in f16, nats per token. */
  divergence: {
    mean: number;
    standardError: number;
    /** Scored tokens; 0 for f16, which is what others are compared with. */
    tokens: number;
    /** Tokens per window that was measured on: over a longer context a cache may cost more. */
    contextLength: number;
  };
}

/**
 * The cache of least measured divergence within so many bytes, or the one whose types are given.
 *
 * @throws {ResourceError} when no cache that the engine can have is as small
 * @throws {EngineError} when it can't have one of the types given
 */
export async function chooseCache(wish: CacheBudget | CacheTypes, meter: CacheMeter): Promise<CacheOutcome> {
  const { contextLength } = wish;
  const chosen = "bytesMax" in wish ? await cacheWithin(wish, meter) : await givenCache(wish, meter);
  return cacheOutcome(chosen, contextLength, meter);
}

/**
 * Chooses, and measures what was chosen as a pair, until the choice is one that was: a pair may cost more than the sum of
 * its halves, and then another is better. Where no model runs, the sum has to do.
 */
export async function settleCache<Chosen extends CacheChoice>(
  meter: CacheMeter,
  choose: (measurements: readonly CacheMeasurement[]) => Chosen,
): Promise<Chosen> {
  for (;;) {
    const chosen = choose(meter.measurements);
    if (chosen.measured || !meter.measures) return chosen;
    await meter.measurePair(chosen.typeK, chosen.typeV);
  }
}

/** A choice with what was measured of it. */
export function cacheOutcome(
  { typeK, typeV, bytes }: CacheSize,
  contextLength: number,
  meter: CacheMeter,
): CacheOutcome {
  const { mean, standardError, tokens } = meter.find(typeK, typeV)?.divergence ?? sumOfHalves(typeK, typeV, meter);
  const divergence = { mean, standardError, tokens, contextLength: meter.windowTokens };
  return { typeK, typeV, sizeBytes: bytes, contextLength, divergence };
}

/** What a pair comes to that was not measured as one: nothing for f16. */
function sumOfHalves(
  typeK: GgmlType,
  typeV: GgmlType,
  meter: CacheMeter,
): { mean: number; standardError: number; tokens: number } {
  const nothing = { mean: 0, standardError: 0, tokens: 0 };
  const [keys, values] = [meter.find(typeK, "f16"), meter.find("f16", typeV)].map((one) => one?.divergence ?? nothing);
  return {
    mean: keys!.mean + values!.mean,
    standardError: Math.hypot(keys!.standardError, values!.standardError),
    tokens: Math.max(keys!.tokens, values!.tokens),
  };
}

async function cacheWithin({ bytesMax, contextLength }: CacheBudget, meter: CacheMeter): Promise<CacheSize> {
  const { spec } = meter;
  if (kvCacheBytes(spec, contextLength) > bytesMax) await meter.measureHalves();
  const request = { spec, contextLength };
  return settleCache(meter, (measurements) => chooseCacheTypes({ ...request, measurements }, bytesMax));
}

async function givenCache({ typeK, typeV, contextLength }: CacheTypes, meter: CacheMeter): Promise<CacheSize> {
  if (typeK !== "f16" || typeV !== "f16") await meter.measurePair(typeK, typeV);
  return { typeK, typeV, bytes: kvCacheBytes(meter.spec, contextLength, { typeK, typeV }) };
}
