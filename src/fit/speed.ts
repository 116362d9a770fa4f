// How fast a model will decode. Each token reads all active weights and the KV cache once, so memory bandwidth sets the
// pace, and a constant for everything else (starting threads at each operation, attention, sampling) is added to it.
// The two numbers are fitted to measurements on the machine at hand; another device's come from its specification.
import type { DeviceSpec } from "./device.js";

/**
 * Share of a specified bandwidth that decoding reaches. 7B models in llama.cpp's table for Apple chips
 * (github.com/ggml-org/llama.cpp/discussions/4167) reach 45 to 77 % of the specification, CPUs and GPUs alike about 60 %.
 */
export const SPECIFIED_BANDWIDTH_EFFICIENCY = 0.6;

/** The pace of one device: `seconds per token = bytesTouched / bandwidth + overhead`. */
export interface Pace {
  bandwidthBytesPerSecond: number;
  overheadSeconds: number;
}

/** One measured model. */
export interface PaceMeasurement {
  /** Bytes of weights and KV cache that one token reads. */
  bytesTouched: number;
  decodeTokensPerSecond: number;
}

export interface Calibration extends Pace {
  measurements: number;
  /**
   * How wrong predictions were: |predicted - measured| / measured of each measurement, predicted from the others alone
   * (leave one out). Empty with fewer than two measurements.
   */
  errorShares: number[];
  /** The median of `errorShares`, or null when there is none. */
  medianErrorShare: number | null;
}

/**
 * Decode speed in tokens per second: `1 / (bytesTouched / bandwidth + overhead)`.
 *
 * @param bytesTouched bytes of weights and KV cache that one token reads
 */
export function predictDecodeTokensPerSecond(bytesTouched: number, pace: Pace): number {
  return 1 / (bytesTouched / pace.bandwidthBytesPerSecond + pace.overheadSeconds);
}

/**
 * The pace that a device's specification promises, or undefined when it states no bandwidth.
 *
 * A specified bandwidth counts with {@link SPECIFIED_BANDWIDTH_EFFICIENCY}, a measured one in full. The overhead is
 * unknown from afar and taken as 0, so small models come out too fast.
 */
export function paceOf(device: DeviceSpec): Pace | undefined {
  if (device.bandwidthBytesPerSecond === undefined) return undefined;
  const efficiency = device.bandwidthSource === "measured" ? 1 : SPECIFIED_BANDWIDTH_EFFICIENCY;
  return { bandwidthBytesPerSecond: device.bandwidthBytesPerSecond * efficiency, overheadSeconds: 0 };
}

/**
 * Fits bandwidth and overhead to measurements and says how well they predict.
 *
 * Least squares on the relative error of the seconds per token, neither number below zero. With one measurement, or
 * several of one size, the overhead is 0.
 *
 * @throws {RangeError} without a measurement, or when one is not positive
 */
export function calibratePace(measurements: readonly PaceMeasurement[]): Calibration {
  for (const { bytesTouched, decodeTokensPerSecond } of measurements) {
    if (!(bytesTouched > 0 && decodeTokensPerSecond > 0)) {
      throw new RangeError(`Cannot calibrate from ${bytesTouched} bytes at ${decodeTokensPerSecond} tokens per second`);
    }
  }
  const errorShares =
    measurements.length < 2 ? [] : measurements.map((left, index) => errorShareWithout(measurements, left, index));
  return {
    ...fitPace(measurements),
    measurements: measurements.length,
    errorShares,
    medianErrorShare: errorShares.length > 0 ? median(errorShares) : null,
  };
}

function errorShareWithout(all: readonly PaceMeasurement[], left: PaceMeasurement, index: number): number {
  const pace = fitPace(all.filter((_, other) => other !== index));
  const predicted = predictDecodeTokensPerSecond(left.bytesTouched, pace);
  return Math.abs(predicted - left.decodeTokensPerSecond) / left.decodeTokensPerSecond;
}

/** Weighted least squares for t = a·bytes + b with weights 1/t², so that each measurement's relative error counts alike. */
function fitPace(measurements: readonly PaceMeasurement[]): Pace {
  if (measurements.length === 0) throw new RangeError("Cannot calibrate without a measurement");
  // Divided by its own t, the equation of a measurement is 1 = a·x + b·y with x = bytes/t (its rate) and y = 1/t.
  let [xx, xy, yy, sx, sy] = [0, 0, 0, 0, 0];
  for (const { bytesTouched, decodeTokensPerSecond: y } of measurements) {
    const x = bytesTouched * y;
    xx += x * x;
    xy += x * y;
    yy += y * y;
    sx += x;
    sy += y;
  }
  const determinant = xx * yy - xy * xy;
  const solvable = determinant > 1e-12 * xx * yy;
  const secondsPerByte = solvable ? (sx * yy - sy * xy) / determinant : 0;
  const overheadSeconds = solvable ? (sy * xx - sx * xy) / determinant : 0;
  if (!(secondsPerByte > 0)) return solvable ? allOverhead(sy, yy) : allBandwidth(sx, xx);
  if (overheadSeconds < 0) return allBandwidth(sx, xx);
  return { bandwidthBytesPerSecond: 1 / secondsPerByte, overheadSeconds };
}

function allBandwidth(sx: number, xx: number): Pace {
  return { bandwidthBytesPerSecond: xx / sx, overheadSeconds: 0 };
}

/** Speed does not depend on size, or even rises with it: bandwidth is no limit here. */
function allOverhead(sy: number, yy: number): Pace {
  return { bandwidthBytesPerSecond: Number.MAX_VALUE, overheadSeconds: sy / yy };
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle - 0.5)]! + sorted[Math.floor(middle)]!) / 2;
}
