import { expect, test } from "vitest";

import { Random } from "../support/random.js";
import { type PairedDraw, PairedSequence, keptSequence, weightedMean } from "./paired-sequence.js";

const ALPHA = 0.025;

/** Draws from a set in random order, each case as likely as any other that is left. */
function evenDraws(pairs: readonly (readonly [number, number])[], random: Random): PairedDraw[] {
  return random.shuffled(pairs).map(([baseline, candidate], drawn) => {
    const chance = 1 / (pairs.length - drawn);
    return { baseline, candidate, probability: chance, least: chance };
  });
}

/** Draws from a set with weights. */
function weightedDraws(pairs: readonly (readonly [number, number])[], weights: number[], random: Random): PairedDraw[] {
  const left = pairs.map((pair, index) => ({ pair, weight: weights[index]! }));
  return pairs.map(() => {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    let place = random.next() * total;
    let index = 0;
    while (index < left.length - 1 && (place -= left[index]!.weight) >= 0) index++;
    const least = Math.min(...left.map(({ weight }) => weight)) / total;
    const [{ pair, weight }] = left.splice(index, 1) as [(typeof left)[0]];
    return { baseline: pair[0], candidate: pair[1], probability: weight / total, least };
  });
}

function pairsOf(counts: { both: number; lost: number; won: number; neither: number }): [number, number][] {
  const fill = (count: number, pair: [number, number]): [number, number][] => Array.from({ length: count }, () => pair);
  return [
    ...fill(counts.both, [1, 1]),
    ...fill(counts.lost, [1, 0]),
    ...fill(counts.won, [0, 1]),
    ...fill(counts.neither, [0, 0]),
  ];
}

test("PairedSequence clears a flawless candidate after as many cases as arithmetic says", () => {
  const sequence = new PairedSequence({ keep: 0.95, size: Infinity, alpha: ALPHA });
  const draw = { baseline: 1, candidate: 1, probability: 1, least: 1 };
  while (sequence.standing === "undecided") sequence.add(draw);
  // Each draw multiplies share f of the money by 1 + f · 0.05 / 0.95; the sum must reach 40.
  const money = (n: number): number =>
    [
      [0.99, 4],
      [0.7, 3],
      [0.4, 2],
      [0.2, 1],
      [0.08, 1],
    ].reduce((sum, [f, w]) => sum + (w! / 11) * (1 + (f! * 0.05) / 0.95) ** n, 0);
  expect(money(sequence.draws.length)).toBeGreaterThanOrEqual(40);
  expect(money(sequence.draws.length - 1)).toBeLessThan(40);
});

test("PairedSequence of all cases is exact, and settles sooner than without an end", () => {
  const pairs = pairsOf({ both: 90, lost: 5, won: 0, neither: 5 });
  for (const [keep, standing] of [
    [90 / 95, "clears"],
    [0.948, "fails"],
  ] as const) {
    const sequence = new PairedSequence({ keep, size: 100, alpha: ALPHA });
    for (const draw of evenDraws(pairs, new Random(1))) sequence.add(draw);
    expect(sequence.standing).toBe(standing);
    expect(sequence.kept()).toEqual({ mean: 90 / 95, low: 90 / 95, high: 90 / 95 });
  }
});

test("PairedSequence.kept() agrees with its standing at every moment", () => {
  const keep = 0.9;
  const pairs = pairsOf({ both: 190, lost: 8, won: 4, neither: 48 });
  for (const seed of [1, 2, 3]) {
    const sequence = new PairedSequence({ keep, size: 250, alpha: ALPHA });
    for (const draw of evenDraws(pairs, new Random(seed)).slice(0, 160)) {
      sequence.add(draw);
      if (sequence.draws.length % 20 > 0) continue;
      const { low, mean, high } = sequence.kept();
      expect(low <= mean && mean <= high).toBe(true);
      expect(low >= keep ? "clears" : high < keep ? "fails" : "undecided").toBe(sequence.standing);
    }
  }
});

test("keptSequence() covers the truth at every moment, in all but 5 % of the orders", () => {
  const pairs = pairsOf({ both: 130, lost: 20, won: 10, neither: 40 });
  const truth = 140 / 150;
  const weights = pairs.map(([baseline, candidate]) => (baseline === candidate ? 1 : 2));
  for (const draw of [
    (random: Random) => evenDraws(pairs, random),
    (random: Random) => weightedDraws(pairs, weights, random),
  ]) {
    let missed = 0;
    for (let seed = 0; seed < 400; seed++) {
      // The interval of the most money ever is the intersection of all intervals so far.
      const { low, high } = keptSequence(draw(new Random(seed)).slice(0, 190), pairs.length, ALPHA);
      if (truth < low || truth > high) missed++;
    }
    expect(missed / 400).toBeLessThanOrEqual(0.05 + 3 * Math.sqrt((0.05 * 0.95) / 400));
  }
});

test("weightedMean() has no bias from unequal probabilities", () => {
  const pairs = pairsOf({ both: 60, lost: 20, won: 5, neither: 15 });
  const weights = pairs.map(([baseline, candidate]) => (baseline === candidate ? 1 : 3));
  const means = Array.from({ length: 1000 }, (_, seed) =>
    weightedMean(weightedDraws(pairs, weights, new Random(seed)).slice(0, 30), ({ candidate }) => candidate, 100),
  );
  const mean = means.reduce((sum, value) => sum + value, 0) / means.length;
  const spread = Math.sqrt(means.reduce((sum, value) => sum + (value - mean) ** 2, 0) / means.length);
  expect(Math.abs(mean - 0.65)).toBeLessThan((3 * spread) / Math.sqrt(1000));
});

test("PairedSequence.drawsToSettle foretells how many more draws it takes, within a factor of two", () => {
  const pairs = pairsOf({ both: 1400, lost: 20, won: 10, neither: 570 });
  const ratios = Array.from({ length: 40 }, (_, seed) => {
    const draws = evenDraws(pairs, new Random(seed));
    const sequence = new PairedSequence({ keep: 0.95, size: 2000, alpha: ALPHA });
    for (const draw of draws.slice(0, 80)) sequence.add(draw);
    if (sequence.standing !== "undecided") return 1;
    const foretold = sequence.drawsToSettle;
    while (sequence.standing === "undecided") sequence.add(draws[sequence.draws.length]!);
    expect(sequence.drawsToSettle).toBe(0);
    return foretold / (sequence.draws.length - 80);
  }).sort((a, b) => a - b);
  expect(ratios[20]).toBeGreaterThan(0.5);
  expect(ratios[20]).toBeLessThan(2);
});
