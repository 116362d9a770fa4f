// How many answers at once: each has a lane of its own for a whole context, and all lanes are set up at the start, so that no
// answer fails for want of memory later. Who comes when all are taken waits.
import { ResourceError } from "../../errors.js";
import { kvCacheBytesPerToken } from "../../model/memory.js";
import type { ModelSpec } from "../../model/spec.js";
import { formatBytes } from "../../support/units.js";

const PARALLEL_CPU = 16;
const PARALLEL_GPU = 32;
const SHARE_OF_MEMORY = 0.5; // of what is free, for all caches; the rest is for weights, buffers and everybody else

/**
 * Lanes that fit, up to what computes well at once.
 *
 * @param options.contextLength tokens of a lane
 * @param options.availableBytes memory that is free
 * @throws {ResourceError} when not even one lane fits
 */
export function chooseParallel(
  spec: ModelSpec,
  { contextLength, onGpu, availableBytes }: { contextLength: number; onGpu: boolean; availableBytes: number },
): number {
  const laneBytes = kvCacheBytesPerToken(spec) * contextLength;
  const most = onGpu ? PARALLEL_GPU : PARALLEL_CPU;
  if (laneBytes === 0) return most;
  const fitting = Math.floor((availableBytes * SHARE_OF_MEMORY) / laneBytes);
  if (fitting >= 1 || laneBytes < availableBytes) return Math.min(most, Math.max(1, fitting));
  throw new ResourceError(
    `The cache of one conversation of ${contextLength} tokens takes ${formatBytes(laneBytes)}, and ${formatBytes(availableBytes)} are free`,
    { hint: "Choose a shorter --context" },
  );
}
