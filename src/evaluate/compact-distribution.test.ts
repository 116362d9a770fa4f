import { expect, test } from "vitest";

import { Random } from "../support/random.js";
import { CompactDistributionsBuilder } from "./compact-distribution-builder.js";
import { type Comparison, compareDistribution, negativeLogLikelihood, topToken } from "./compact-distribution.js";

const VOCABULARY = 2000;

test("compareDistribution() is within 0.5 % of the divergence over full logits, from faint to coarse noise", () => {
  for (const noise of [0.01, 0.1, 0.5]) {
    const { compact, full } = compareSynthetic({ rows: 100, spread: 3, noise });
    expect(Math.abs(compact / full - 1)).toBeLessThan(0.005);
  }
});

test("compareDistribution() holds for flat and for nearly certain distributions", () => {
  for (const spread of [0.2, 1.5, 6]) {
    const { compact, full } = compareSynthetic({ rows: 100, spread, noise: 0.2 });
    expect(Math.abs(compact / full - 1)).toBeLessThan(0.01);
  }
});

test("compareDistribution() sees that only the tail was moved", () => {
  const { compact, full } = compareSynthetic({ rows: 60, spread: 3, noise: 1, movesOnly: (rank) => rank > 200 });
  expect(full).toBeGreaterThan(0.001);
  expect(Math.abs(compact / full - 1)).toBeLessThan(0.05);
});

test("compareDistribution() with the same logits is zero but for rounding", () => {
  const { compact, sameTopRate } = compareSynthetic({ rows: 20, spread: 3, noise: 0 });
  expect(compact).toBeGreaterThanOrEqual(0);
  expect(compact).toBeLessThan(2e-6);
  expect(sameTopRate).toBe(1);
});

test("compareDistribution() gives the candidate's likelihood and top token wherever they lie", () => {
  const logits = synthetic(new Random(3), 3);
  const builder = new CompactDistributionsBuilder(1);
  builder.append(logits, softmax(logits), 17);
  const baseline = builder.finish();
  const other = synthetic(new Random(4), 3);
  const probabilities = softmax(other);
  const result = compareDistribution(baseline, 0, other, probabilities, 17, blank());
  expect(result.negativeLogLikelihood).toBeCloseTo(-Math.log(softmax64(other)[17]!), 6);
  expect(result.isSameTop).toBe(topToken(other) === topToken(logits));
});

test("compareDistribution() stays finite where the candidate gives the rest no mass at all", () => {
  const logits = synthetic(new Random(3), 2);
  const builder = new CompactDistributionsBuilder(1);
  builder.append(logits, softmax(logits), 0);
  const certain = Float32Array.from(logits, (_, id) => (id === topToken(logits) ? 200 : 0));
  const { klDivergence } = compareDistribution(builder.finish(), 0, certain, softmax(certain), 0, blank());
  expect(klDivergence).toBeGreaterThan(50);
  expect(klDivergence).toBeLessThan(300);
});

test("compareDistribution() and append() answer NaN for logits that are not numbers", () => {
  const logits = synthetic(new Random(3), 3);
  const broken = Float32Array.from(logits, (value, id) => (id === 5 ? Number.NaN : value));
  const builder = new CompactDistributionsBuilder(2);
  builder.append(logits, softmax(logits), 0);
  expect(builder.append(broken, softmax(broken), 0)).toBeNaN();
  const baseline = builder.finish();
  expect(compareDistribution(baseline, 0, broken, softmax(broken), 0, blank()).negativeLogLikelihood).toBeNaN();
});

test("CompactDistributionsBuilder keeps everything of a small vocabulary", () => {
  const logits = Float32Array.of(1, 5, 3, -2);
  const builder = new CompactDistributionsBuilder(1);
  expect(builder.append(logits, softmax(logits), 2)).toBeCloseTo(-Math.log(softmax64(logits)[2]!), 6);
  const { ids, restMasses, topTokens } = builder.finish();
  expect([...ids]).toEqual([0, 1, 2, 3]);
  expect(restMasses[0]).toBe(0);
  expect(topTokens[0]).toBe(1);
});

test("CompactDistributionsBuilder refuses to finish early", () => {
  expect(() => new CompactDistributionsBuilder(1).finish()).toThrow(/0 distributions of 1/);
});

test("negativeLogLikelihood() is exact for a token whose probability vanishes in 32 bits", () => {
  const logits = Float32Array.of(0, 120);
  expect(negativeLogLikelihood(logits, softmax(logits), 0)).toBeCloseTo(120, 5);
  expect(negativeLogLikelihood(logits, softmax(logits), 1)).toBeCloseTo(0, 10);
});

interface SyntheticOptions {
  rows: number;
  /** Standard deviation of the logits. */
  spread: number;
  /** Standard deviation of what the candidate adds. */
  noise: number;
  movesOnly?: (rank: number) => boolean;
}

function compareSynthetic({ rows, spread, noise, movesOnly }: SyntheticOptions) {
  const random = new Random(42);
  const builder = new CompactDistributionsBuilder(rows);
  const candidates: Float32Array[] = [];
  let full = 0;
  for (let row = 0; row < rows; row++) {
    const logits = synthetic(random, spread);
    builder.append(logits, softmax(logits), row);
    const ranks = movesOnly && ranksOf(logits);
    const candidate = Float32Array.from(
      logits,
      (value, id) => value + (!ranks || movesOnly!(ranks[id]!) ? noise * random.normal() : 0),
    );
    candidates.push(candidate);
    const p = softmax64(logits);
    const q = softmax64(candidate);
    full += p.reduce((sum, value, id) => sum + value * Math.log(value / q[id]!), 0) / rows;
  }
  const baseline = builder.finish();
  let compact = 0;
  let sameTop = 0;
  for (const [row, candidate] of candidates.entries()) {
    const compared = compareDistribution(baseline, row, candidate, softmax(candidate), row, blank());
    compact += compared.klDivergence / rows;
    if (compared.isSameTop) sameTop++;
  }
  return { compact, full, sameTopRate: sameTop / rows };
}

function ranksOf(logits: Float32Array): Int32Array {
  const ranks = new Int32Array(logits.length);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]!);
  for (const [rank, id] of order.entries()) ranks[id] = rank;
  return ranks;
}

function synthetic(random: Random, spread: number): Float32Array {
  return Float32Array.from({ length: VOCABULARY }, () => spread * random.normal());
}

function softmax64(logits: Float32Array): Float64Array {
  const highest = logits.reduce((a, b) => Math.max(a, b));
  const weights = Float64Array.from(logits, (value) => Math.exp(value - highest));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

function softmax(logits: Float32Array): Float32Array {
  return Float32Array.from(softmax64(logits));
}

function blank(): Comparison {
  return { klDivergence: 0, negativeLogLikelihood: 0, isSameTop: false };
}
