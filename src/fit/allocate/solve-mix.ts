// From a table of measurements to a type for every tensor, as `quantize --size` chooses it. Runs no model: the job does it
// before it rounds, a dry run does it alone.
import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";
import { kvCacheBytes } from "../../model/memory.js";
import type { Model } from "../../model/model.js";
import type { TypeOverride } from "../../passes/quantize/assign-types.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import { isSolvable } from "../../passes/quantize/round/round-rows.js";
import { scalarFormat } from "../../passes/quantize/round/scalar-format.js";
import { type Allocation, allocate } from "./allocate.js";
import { MIX_TYPES } from "./candidate-types.js";
import type { CacheMeter } from "./cache-meter.js";
import type { CacheOutcome } from "./choose-cache.js";
import { fileBytesBeside, shareDeviceMemory } from "./device-memory.js";
import type { Measurements } from "./measurement-schema.js";
import type { SizeGoal } from "./size-goal.js";
import { weightsTotal } from "./size-target.js";

export interface MixRequest {
  /** Bytes that the file may have, or memory that it shares with the KV cache. */
  goal: SizeGoal;
  pins: readonly TypeOverride[];
  minimize: "size" | "latency";
  effort: Effort;
}

/** Bits per weight of the whole file below which codebook types take part. */
const CODEBOOK_BITS = 3.6;

/**
 * Chooses a type for every tensor, and where memory is shared those of the KV cache.
 *
 * @param meter wanted where memory is shared
 * @throws {UnreachableSizeError} when no mix is as small; it has the size of the smallest
 * @throws {ResourceError} when no mix and no cache fit the memory that they share
 */
export async function solveMix(
  model: Model,
  measured: Measurements["tensors"],
  { goal, pins, minimize, effort }: MixRequest,
  meter?: CacheMeter,
): Promise<Allocation & { cache?: CacheOutcome }> {
  const types = openTypes(model, goal, effort);
  const request = { model, table: { tensors: measured }, pins, types, minimize };
  if ("fileBytes" in goal) return allocate({ ...request, ...goal });
  const { cache, fileBytes } = await shareDeviceMemory(request, goal.memory, meter!);
  return { ...allocate({ ...request, fileBytes }), cache };
}

/**
 * Types that look up several weights at a time take minutes to round and decode slowly, and matter where bits are very few:
 * only then, or when time is no matter, do they take part.
 */
export function openTypes(model: Model, goal: SizeGoal, effort: Effort): GgmlType[] {
  const isTight = bytesBesideFullCache(model, goal) * 8 < CODEBOOK_BITS * weightsTotal(model);
  return MIX_TYPES.filter((type) => {
    if (!GGML_TYPES[type].quantized) return true;
    return scalarFormat(type) !== undefined || (isSolvable(type) && (isTight || effort === "high"));
  });
}

/** The file that leaves room for a cache in f16: which types take part does not hang on the cache that is chosen later. */
function bytesBesideFullCache(model: Model, goal: SizeGoal): number {
  if ("fileBytes" in goal) return goal.fileBytes;
  return fileBytesBeside(kvCacheBytes(model.spec, goal.memory.contextLength), goal.memory, model);
}
