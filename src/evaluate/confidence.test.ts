import { expect, test } from "vitest";

import { ConfidenceMeter } from "./confidence.js";

test("ConfidenceMeter gives the geometric mean of the tokens' probabilities", () => {
  const meter = new ConfidenceMeter();
  meter.add(Float32Array.of(Math.log(3), 0), 0); // 3/4
  meter.add(Float32Array.of(Math.log(3), 0), 1); // 1/4
  expect(meter.confidence).toBeCloseTo(Math.sqrt(3) / 4, 6);
});

test("ConfidenceMeter is not sure of nothing, nor of what is no number", () => {
  expect(new ConfidenceMeter().confidence).toBe(0);
  const meter = new ConfidenceMeter();
  meter.add(Float32Array.of(NaN, NaN), 0);
  expect(meter.confidence).toBe(0);
});
