import { expect, test } from "vitest";

import { deviceSchema } from "./device.js";
import { calibratePace, median, paceOf, predictDecodeTokensPerSecond } from "./speed.js";

const pace = { bandwidthBytesPerSecond: 20e9, overheadSeconds: 0.002 };

test("predictDecodeTokensPerSecond() is one token per bytes/bandwidth + overhead", () => {
  expect(predictDecodeTokensPerSecond(1e9, pace)).toBeCloseTo(1 / (0.05 + 0.002), 10);
});

test("calibratePace() recovers the pace that made the measurements", () => {
  const measured = [1e8, 3e8, 1e9, 4e9].map((bytesTouched) => ({
    bytesTouched,
    decodeTokensPerSecond: predictDecodeTokensPerSecond(bytesTouched, pace),
  }));
  const fitted = calibratePace(measured);
  expect(fitted.bandwidthBytesPerSecond).toBeCloseTo(20e9, -3);
  expect(fitted.overheadSeconds).toBeCloseTo(0.002, 9);
  expect(fitted.medianErrorShare).toBeLessThan(1e-9);
});

test("calibratePace() reports the error on a measurement that it has not seen", () => {
  const measured = [1e8, 2e8, 4e8].map((bytesTouched) => ({ bytesTouched, decodeTokensPerSecond: 1e9 / bytesTouched }));
  measured.push({ bytesTouched: 3e8, decodeTokensPerSecond: (2 * 1e9) / 3e8 }); // twice as fast as the others say
  expect(calibratePace(measured).errorShares[3]).toBeCloseTo(0.5, 6);
});

test("calibratePace() with one measurement takes it all for bandwidth and claims no error", () => {
  const fitted = calibratePace([{ bytesTouched: 2e9, decodeTokensPerSecond: 10 }]);
  expect(fitted.bandwidthBytesPerSecond).toBeCloseTo(20e9, -2);
  expect(fitted.overheadSeconds).toBe(0);
  expect(fitted.medianErrorShare).toBeNull();
});

test("calibratePace() never fits a negative number", () => {
  const smallIsSlow = calibratePace([
    { bytesTouched: 1e9, decodeTokensPerSecond: 10 },
    { bytesTouched: 2e9, decodeTokensPerSecond: 12 },
  ]);
  expect(predictDecodeTokensPerSecond(1.5e9, smallIsSlow)).toBeGreaterThan(9);
  expect(predictDecodeTokensPerSecond(1.5e9, smallIsSlow)).toBeLessThan(13);
  const superlinear = calibratePace([
    { bytesTouched: 1e9, decodeTokensPerSecond: 40 },
    { bytesTouched: 2e9, decodeTokensPerSecond: 10 },
  ]);
  expect(superlinear.overheadSeconds).toBe(0);
  expect(superlinear.bandwidthBytesPerSecond).toBeGreaterThan(0);
});

test("calibratePace() refuses nothing and nonsense", () => {
  expect(() => calibratePace([])).toThrow(RangeError);
  expect(() => calibratePace([{ bytesTouched: 1, decodeTokensPerSecond: 0 }])).toThrow(RangeError);
});

test("paceOf() discounts a specified bandwidth and trusts a measured one", () => {
  const specified = deviceSchema.parse({ name: "a", memoryBytes: 1, bandwidthBytesPerSecond: 100 });
  expect(paceOf(specified)!.bandwidthBytesPerSecond).toBeCloseTo(60, 9);
  expect(paceOf({ ...specified, bandwidthSource: "measured" })!.bandwidthBytesPerSecond).toBe(100);
  expect(paceOf(deviceSchema.parse({ name: "a", memoryBytes: 1 }))).toBeUndefined();
});

test("median() of odd and even counts", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([7])).toBe(7);
});
