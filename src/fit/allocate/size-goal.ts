// What a size on the command line asks for: bytes of the file, or the memory of a device that the file shares with the KV
// cache.
import type { MethodPart } from "../../passes/quantize/method-parts.js";
import { readDevice } from "../device.js";
import { type SharedMemory, sharedMemory } from "./device-memory.js";
import { type SizedModel, parseSizeTarget, targetBytes } from "./size-target.js";

/** One of two ways to be small. */
export type SizeGoal = { fileBytes: number } | { memory: SharedMemory };

/**
 * Reads the size that is asked for.
 *
 * @param options.without parts of the method to leave out: without measured divergences there is nothing to share by, and the
 *   cache stays in f16
 * @throws {UsageError} when the text is no size, or the device is unknown
 * @throws {ResourceError} when the context leaves no memory for weights
 */
export async function sizeGoal(
  size: string,
  model: SizedModel,
  options: { signal?: AbortSignal; without?: readonly MethodPart[] | undefined },
): Promise<SizeGoal> {
  const target = parseSizeTarget(size);
  if (target.kind !== "device" || options.without?.includes("allocation")) {
    return { fileBytes: await targetBytes(target, model, options) };
  }
  return { memory: sharedMemory(await readDevice(target.device, options), target.contextLength, model) };
}
