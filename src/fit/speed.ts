// How fast a model will run on a device that is not at hand, from what its specification promises. Decoding reads all active weights
// and the KV cache once for each token, so memory bandwidth sets the pace; a prompt's tokens share that reading, so arithmetic does.
// What is at hand is measured instead (decode-model.ts).
import type { Band } from "../cost/band.js";
import type { Speeds } from "../cost/energy.js";
import { bytesTouchedPerToken } from "../model/memory.js";
import type { Model } from "../model/model.js";
import type { DeviceSpec } from "./device.js";

/**
 * Share of a specified bandwidth that decoding reaches. 7B models in llama.cpp's table for Apple chips
 * (github.com/ggml-org/llama.cpp/discussions/4167) reach 45 to 77 % of the specification, CPUs and GPUs alike about 60 %.
 */
export const BANDWIDTH_EFFICIENCY: Band = { value: 0.6, low: 0.45, high: 0.77 };
/** Of a bandwidth that was measured by reading alone: the kernels of small types do more than read. */
const MEASURED_EFFICIENCY: Band = { value: 1, low: 0.6, high: 1.1 };
/**
 * Share of a specified arithmetic rate that computing a prompt reaches: an estimate, hence the wide band. Matrix units come close to
 * their rate with long prompts; processors without them, and small models, stay well below.
 */
export const ARITHMETIC_EFFICIENCY: Band = { value: 0.45, low: 0.2, high: 0.8 };

/**
 * Tokens per second that a device's specification lets one expect; null for what it does not state.
 *
 * decode = bandwidth · efficiency ÷ bytes touched; prefill = arithmetic rate · efficiency ÷ (2 · active parameters). What a token costs
 * besides is unknown from afar, so models of less than about 1 GB come out too fast.
 *
 * @param contextLength tokens before the decoded one
 */
export function specifiedSpeeds(
  device: DeviceSpec,
  model: Pick<Model, "spec" | "tensors">,
  contextLength: number,
): Speeds {
  return {
    decodeTokensPerSecond: specifiedDecode(device, bytesTouchedPerToken(model, contextLength)),
    prefillTokensPerSecond:
      device.flopsPerSecond === undefined
        ? null
        : times(ARITHMETIC_EFFICIENCY, device.flopsPerSecond / (2 * Math.max(1, model.spec.parametersActive))),
  };
}

/** @param bytesTouched bytes of weights and KV cache that one token reads */
export function specifiedDecode(device: DeviceSpec, bytesTouched: number): Band | null {
  if (device.bandwidthBytesPerSecond === undefined) return null;
  const efficiency = device.bandwidthSource === "measured" ? MEASURED_EFFICIENCY : BANDWIDTH_EFFICIENCY;
  return times(efficiency, device.bandwidthBytesPerSecond / bytesTouched);
}

function times({ value, low, high }: Band, rate: number): Band {
  return { value: value * rate, low: low * rate, high: high * rate };
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle - 0.5)]! + sorted[Math.floor(middle)]!) / 2;
}
