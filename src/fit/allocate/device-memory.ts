// The memory of a device that weights and KV cache share, and the choice of both: a smaller cache costs quality there and
// gains it here. Divergences of both are small, so they add up.
import { ResourceError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { kvCacheBytes, memoryBytes } from "../../model/memory.js";
import { formatBytes, formatCount } from "../../support/units.js";
import { type DeviceSpec, usableMemoryBytes } from "../device.js";
import { type AllocateRequest, allocate, allocationProblem } from "./allocate.js";
import type { CacheMeter } from "./cache-meter.js";
import { type CacheOutcome, cacheOutcome, settleCache } from "./choose-cache.js";
import { UnreachableSizeError, smallestBytes } from "./choose-types.js";
import { type CacheSize, cacheChoices, shareMemory, smallestCache } from "./kv-cache.js";
import { type SizedModel, headerBytes, paddedBytes } from "./size-target.js";

/** What a device has for weights and KV cache together. */
export interface SharedMemory {
  /** The device's name. */
  readonly device: string;
  /** Tokens of context that must fit. */
  readonly contextLength: number;
  /** Its memory for models, less the compute buffers. */
  readonly memoryBytes: number;
  /** Room for the file; no limit when absent. */
  readonly storageBytes?: number | undefined;
}

/**
 * The memory that is left to weights and cache beside the compute buffers.
 *
 * @throws {ResourceError} when even the smallest cache leaves nothing to the weights
 */
export function sharedMemory(device: DeviceSpec, contextLength: number, model: Pick<SizedModel, "spec">): SharedMemory {
  const { spec } = model;
  const usableBytes = usableMemoryBytes(device);
  const { compute } = memoryBytes({ spec, tensors: new Map() }, { contextLength });
  const smallest = smallestCache(spec, contextLength);
  if (smallest.bytes + compute >= usableBytes) {
    throw new ResourceError(
      `Cannot fit "${device.name}": a context of ${formatCount(contextLength)} tokens takes ` +
        `${formatBytes(smallest.bytes + compute)} of its ${formatBytes(usableBytes)} before any weight, with the ` +
        `smallest KV cache (K ${smallest.typeK}, V ${smallest.typeV})`,
      { hint: "Ask for a shorter context" },
    );
  }
  const { name, storageBytes } = device;
  return { device: name, contextLength, memoryBytes: usableBytes - compute, storageBytes };
}

/** Bytes that the file may have beside a cache of so many: none or less where the cache takes it all. */
export function fileBytesBeside(cacheBytes: number, memory: SharedMemory, model: AllocateRequest["model"]): number {
  const bytes = headerBytes(model) + Math.floor(memory.memoryBytes - cacheBytes);
  return Math.min(bytes, memory.storageBytes ?? Infinity);
}

/**
 * Refuses what no mix of types and no cache can fit, before anything is measured.
 *
 * @param types those that are open to each tensor
 * @throws {ResourceError} naming the smallest
 */
export function requireRoom(
  memory: SharedMemory,
  model: AllocateRequest["model"],
  types: ReadonlyMap<string, readonly GgmlType[]>,
): void {
  let mixBytes = headerBytes(model);
  for (const [name, open] of types) {
    const { shape } = model.tensors.get(name)!;
    mixBytes += Math.min(...open.map((type) => paddedBytes(type, shape, model)));
  }
  const cache = smallestCache(model.spec, memory.contextLength);
  if (fileBytesBeside(cache.bytes, memory, model) < mixBytes) throw noRoom(memory, model, cache, mixBytes);
}

/**
 * Shares the memory so that the divergence of the weights, as their types foretell it, and that of the cache, as measured,
 * are least together. A cache in f16 is kept without measuring where the weights lose nothing beside it.
 *
 * @returns the cache, and the bytes of the file beside it
 * @throws {ResourceError} when no pair that the engine can have leaves room for the weights
 */
export async function shareDeviceMemory(
  request: Omit<AllocateRequest, "fileBytes">,
  memory: SharedMemory,
  meter: CacheMeter,
): Promise<{ cache: CacheOutcome; fileBytes: number }> {
  const { model } = request;
  const { contextLength } = memory;
  const foretell = foreteller(request);
  const beside = (cacheBytes: number) => fileBytesBeside(cacheBytes, memory, model);
  const inFull = kvCacheBytes(model.spec, contextLength);
  if (foretell(beside(inFull)) !== 0) await meter.measureHalves();
  const chosen = await settleCache(meter, (measurements) => {
    const caches = { spec: model.spec, contextLength, measurements };
    const weights = (bytesMax: number) => foretell(beside(memory.memoryBytes - bytesMax));
    const best = shareMemory(caches, memory.memoryBytes, weights);
    if (best) return best;
    const smallestMix = smallestBytes(allocationProblem({ ...request, fileBytes: 0 }));
    throw noRoom(memory, model, cacheChoices(caches)[0]!, smallestMix);
  });
  return { cache: cacheOutcome(chosen, contextLength, meter), fileBytes: beside(chosen.bytes) };
}

/** The divergence that weights come to in a file of so many bytes, undefined where none is as small; each size once. */
function foreteller(request: Omit<AllocateRequest, "fileBytes">): (fileBytes: number) => number | undefined {
  const known = new Map<number, number | undefined>();
  return (fileBytes) => {
    if (!known.has(fileBytes)) known.set(fileBytes, foretellOnce({ ...request, fileBytes }));
    return known.get(fileBytes);
  };
}

function foretellOnce(request: AllocateRequest): number | undefined {
  try {
    return allocate(request).predictedDivergence;
  } catch (error) {
    if (error instanceof UnreachableSizeError) return undefined;
    throw error;
  }
}

function noRoom(
  memory: SharedMemory,
  model: AllocateRequest["model"],
  cache: CacheSize,
  mixBytes: number,
): ResourceError {
  const left = Math.max(0, fileBytesBeside(cache.bytes, memory, model));
  return new ResourceError(
    `Cannot fit "${memory.device}": beside the smallest KV cache of ${formatCount(memory.contextLength)} tokens ` +
      `(K ${cache.typeK}, V ${cache.typeV}, ${formatBytes(cache.bytes)}) the file may have ${formatBytes(left)}, and the ` +
      `smallest mix of types takes ${formatBytes(mixBytes)}`,
    { hint: "Ask for a shorter context, pin fewer tensors to large types, or start from a smaller model" },
  );
}
