import { expect, test } from "vitest";

import { Random } from "../support/random.js";
import { calibrationOf, probabilitiesOf } from "./calibration.js";

test("calibrationOf() gives the numbers of an example by hand", () => {
  const { expectedCalibrationError, brierScore, bins, abstention } = calibrationOf([
    { probabilities: [0.9, 0.1], expected: 0 },
    { probabilities: [0.85, 0.15], expected: 1 },
    { probabilities: [0.4, 0.6], expected: 1 },
    { probabilities: [0.55, 0.45], expected: 0 },
  ]);
  // Bin (0.8, 0.9]: confidence 0.875, one of two right. Bin (0.5, 0.6]: confidence 0.575, both right.
  expect(bins.map(({ high, cases, score }) => [high, cases, score])).toEqual([
    [0.6, 2, 1],
    [0.9, 2, 0.5],
  ]);
  expect(expectedCalibrationError).toBeCloseTo((2 * 0.425 + 2 * 0.375) / 4, 12);
  expect(brierScore).toBeCloseTo((0.02 + 2 * 0.85 ** 2 + 0.32 + 2 * 0.45 ** 2) / 4, 12);
  expect(abstention[0]).toEqual({ coverage: 1, confidence: 0.55, score: 0.75 });
  expect(abstention.find(({ coverage }) => coverage === 0.5)).toEqual({ coverage: 0.5, confidence: 0.85, score: 0.5 });
  expect(() => calibrationOf([])).toThrow(RangeError);
});

test("calibrationOf() finds nothing wrong with a model that is right as often as it says, and all with one that is too sure", () => {
  const random = new Random(1);
  const choices = Array.from({ length: 20_000 }, () => {
    const confidence = 0.5 + random.next() / 2;
    return { confidence, expected: random.next() < confidence ? 0 : 1 };
  });
  const honest = choices.map(({ confidence, expected }) => ({ probabilities: [confidence, 1 - confidence], expected }));
  expect(calibrationOf(honest).expectedCalibrationError).toBeLessThan(0.01);
  const boastful = choices.map(({ expected }) => ({ probabilities: [0.99, 0.01], expected }));
  expect(calibrationOf(boastful).expectedCalibrationError).toBeCloseTo(0.24, 1); // 0.99 against three in four
  const curve = calibrationOf(honest).abstention.map(({ score }) => score);
  expect(curve.at(-1)!).toBeGreaterThan(curve[0]! + 0.15);
});

test("probabilitiesOf() is the softmax, without overflow", () => {
  expect(probabilitiesOf([Math.log(3), Math.log(1)])).toEqual([0.75, 0.25].map((p) => expect.closeTo(p, 12)));
  expect(probabilitiesOf([-5000, -5000])).toEqual([0.5, 0.5]);
});
