import { expect, test } from "vitest";

import { Random } from "../support/random.js";
import {
  bootstrapInterval,
  meanEstimate,
  boundedMeanInterval,
  meanInterval,
  quantile,
  quantileEstimate,
  ratioOfPerplexities,
  wilsonInterval,
} from "./statistics.js";

test("wilsonInterval() gives the published example and stays within 0 and 1", () => {
  const { mean, low, high } = wilsonInterval(10, 20);
  expect(mean).toBe(0.5);
  expect(low).toBeCloseTo(0.299298, 5);
  expect(high).toBeCloseTo(0.700702, 5);
  expect(wilsonInterval(0, 10)).toMatchObject({ mean: 0, low: 0 });
  expect(wilsonInterval(0, 10).high).toBeCloseTo(0.277533, 5);
  expect(wilsonInterval(10, 10)).toMatchObject({ mean: 1, high: 1 });
  expect(() => wilsonInterval(0, 0)).toThrow(RangeError);
  expect(() => wilsonInterval(3, 2)).toThrow(RangeError);
});

test("meanInterval() covers the true mean of normal samples at its confidence", () => {
  const random = new Random(7);
  let covered = 0;
  for (let trial = 0; trial < 2000; trial++) {
    const { low, high } = meanInterval(
      Array.from({ length: 5 }, () => 3 + random.normal()),
      0.9,
    );
    if (low <= 3 && 3 <= high) covered++;
  }
  expect(covered / 2000).toBeGreaterThan(0.88);
  expect(covered / 2000).toBeLessThan(0.92);
});

test("boundedMeanInterval() covers the mean at its confidence where Student's does not: few values, rare ones, all alike", () => {
  const random = new Random(3);
  const mixtures = [
    { usual: 0.9, rare: 0, share: 0.03 },
    { usual: 0.5, rare: 1, share: 0.05 },
    { usual: 0.5, rare: 0.6, share: 0.5 },
    { usual: 0, rare: 1, share: 0.5 },
  ];
  const rounds = 1000;
  for (const size of [3, 10, 100]) {
    for (const { usual, rare, share } of mixtures) {
      const mean = (1 - share) * usual + share * rare;
      let covered = 0;
      for (let round = 0; round < rounds; round++) {
        const values = Array.from({ length: size }, () => (random.next() < share ? rare : usual));
        const { low, high } = boundedMeanInterval(values);
        if (low <= mean && mean <= high) covered++;
      }
      expect(covered / rounds).toBeGreaterThan(0.95 - 3 * Math.sqrt((0.95 * 0.05) / rounds)); // three standard errors
    }
  }
});

test("boundedMeanInterval() of values that are all alike is as wide as what was not seen could make it", () => {
  const { mean, low, high } = boundedMeanInterval(Array.from({ length: 100 }, () => 0.5));
  expect(mean).toBe(0.5);
  expect((high - low) / 2).toBeCloseTo(0.5 * (1 - 0.025 ** (1 / 100)), 2);
  const two = boundedMeanInterval([0, 0], { low: -1, high: 1 }); // of -1, -1, 0, 0, 1, 1 Student's: t(5) · √(4/5 ÷ 6)
  expect(two.low).toBeCloseTo(-2.570582 * Math.sqrt(4 / 30), 5);
  expect(two.high).toBeCloseTo(2.570582 * Math.sqrt(4 / 30), 5);
  expect(boundedMeanInterval([0.2])).toEqual({ mean: 0.2, low: 0, high: 1 });
  expect(() => boundedMeanInterval([])).toThrow(RangeError);
});

test("meanInterval() of one value claims nothing", () => {
  expect(meanInterval([2])).toEqual({ mean: 2, low: -Infinity, high: Infinity });
  expect(meanInterval([2, 2, 2])).toEqual({ mean: 2, low: 2, high: 2 });
  expect(() => meanInterval([])).toThrow(RangeError);
});

test("bootstrapInterval() agrees with Student's interval on a mean and repeats with its seed", () => {
  const random = new Random(1);
  const values = Array.from({ length: 400 }, () => random.normal());
  const mean = (sample: Float64Array) => sample.reduce((a, b) => a + b, 0) / sample.length;
  const bootstrap = bootstrapInterval(values, mean, { seed: 3, resamples: 2000 });
  const student = meanInterval(values);
  expect(bootstrap.mean).toBeCloseTo(student.mean, 12);
  expect(Math.abs(bootstrap.low - student.low)).toBeLessThan(0.01);
  expect(Math.abs(bootstrap.high - student.high)).toBeLessThan(0.01);
  expect(bootstrapInterval(values, mean, { seed: 3, resamples: 2000 })).toEqual(bootstrap);
});

test("meanEstimate() with clusters sees that repeated values carry no more information", () => {
  const random = new Random(2);
  const means = Array.from({ length: 200 }, () => random.normal());
  const repeated = means.flatMap((value) => Array.from({ length: 10 }, () => value));
  expect(meanEstimate(repeated, 10).standardError).toBeCloseTo(meanEstimate(means).standardError, 10);
  expect(meanEstimate(repeated).standardError).toBeLessThan(0.4 * meanEstimate(means).standardError);
});

test("quantile() interpolates as NumPy does", () => {
  expect(quantile([3, 1, 2, 4], 0.5)).toBe(2.5);
  expect(quantile([1, 2, 3, 4, 5], 0.9)).toBeCloseTo(4.6, 12);
  expect(quantile([5], 0.99)).toBe(5);
  expect(() => quantile([1], 1.1)).toThrow(RangeError);
});

test("quantileEstimate() predicts the spread of a median and of a 99th percentile over samples", () => {
  for (const q of [0.5, 0.99]) {
    const random = new Random(11);
    const estimates: number[] = [];
    const errors: number[] = [];
    for (let trial = 0; trial < 300; trial++) {
      const sample = Float64Array.from({ length: 1000 }, () => -Math.log(1 - random.next()));
      const { value, standardError } = quantileEstimate(sample, q);
      estimates.push(value);
      errors.push(standardError);
    }
    const spread = meanEstimate(estimates).standardError * Math.sqrt(300);
    const claimed = meanEstimate(errors).value;
    expect(claimed / spread).toBeGreaterThan(0.85);
    expect(claimed / spread).toBeLessThan(1.2);
  }
});

test("quantileEstimate() with clusters widens where a cluster moves as one", () => {
  const random = new Random(5);
  const shifted = Array.from({ length: 50 }, () => random.normal()).flatMap((level) =>
    Array.from({ length: 20 }, () => level + 0.1 * random.normal()),
  );
  const clustered = quantileEstimate(shifted, 0.5, 20).standardError;
  expect(clustered).toBeGreaterThan(2 * quantileEstimate(shifted, 0.5).standardError);
});

test("ratioOfPerplexities() pairs windows: a constant loss has no spread however hard the windows differ", () => {
  const baseline = [100, 300, 200].map((nll) => ({ negativeLogLikelihood: nll, tokens: 100 }));
  const candidate = baseline.map((w) => ({ negativeLogLikelihood: w.negativeLogLikelihood + 1, tokens: 100 }));
  const { mean, low, high } = ratioOfPerplexities(baseline, candidate);
  expect(mean).toBeCloseTo(Math.exp(-0.01), 12);
  expect(low).toBeCloseTo(mean, 10);
  expect(high).toBeCloseTo(mean, 10);
});

test("ratioOfPerplexities() covers the true ratio at its confidence when losses vary by window", () => {
  const random = new Random(13);
  let covered = 0;
  for (let trial = 0; trial < 1000; trial++) {
    const baseline = Array.from({ length: 8 }, () => ({
      negativeLogLikelihood: 200 + 50 * random.normal(),
      tokens: 100,
    }));
    const candidate = baseline.map((w) => ({
      negativeLogLikelihood: w.negativeLogLikelihood + 2 + random.normal(),
      tokens: 100,
    }));
    const { low, high } = ratioOfPerplexities(baseline, candidate);
    if (low <= Math.exp(-0.02) && Math.exp(-0.02) <= high) covered++;
  }
  expect(covered / 1000).toBeGreaterThan(0.93);
  expect(covered / 1000).toBeLessThan(0.97);
});

test("ratioOfPerplexities() refuses windows that don't pair up and claims nothing from one", () => {
  const one = { negativeLogLikelihood: 10, tokens: 5 };
  expect(() => ratioOfPerplexities([one], [])).toThrow(/Cannot pair 1 windows/);
  expect(() => ratioOfPerplexities([one], [{ ...one, tokens: 4 }])).toThrow(/Cannot pair windows 0/);
  expect(ratioOfPerplexities([one], [one])).toEqual({ mean: 1, low: 0, high: Infinity });
});
