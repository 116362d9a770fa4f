import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { loadEngine } from "../../native/engine.js";
import { Random } from "../../support/random.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { fitGain, recoverOutputGain } from "./recover-output-gain.js";
import { WeightLab } from "./weight-lab.js";

/** A measurement of which only window means matter. */
function windows(means: readonly number[]) {
  return { windowMeans: Float64Array.from(means), mean: means.reduce((sum, mean) => sum + mean, 0) / means.length };
}

/** Mean KL divergence of softmax(gain · b) from softmax(a), for each window of token logits. */
function divergence(original: readonly number[][], candidate: readonly number[][], gain: number): number {
  const softmax = (logits: readonly number[]) => {
    const powers = logits.map((logit) => Math.exp(logit));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  };
  const each = original.map((logits, token) => {
    const [p, q] = [softmax(logits), softmax(candidate[token]!.map((logit) => gain * logit))];
    return p.reduce((sum, share, i) => sum + share * Math.log(share / q[i]!), 0);
  });
  return each.reduce((sum, value) => sum + value, 0) / each.length;
}

test("fitGain() undoes a scaling of all logits, but for a hundredth of its divergence", () => {
  const random = new Random(1);
  const sets = [0, 1].map(() =>
    Array.from({ length: 20 }, () => Array.from({ length: 12 }, () => 2 * random.normal())),
  );
  const loud = sets.map((set) => set.map((logits) => logits.map((logit) => logit / 0.955)));
  const measure = (gain: number) => windows(sets.map((set, i) => divergence(set, loud[i]!, gain)));
  const { gain, measured } = fitGain(measure);
  expect(Math.abs(gain - 0.955)).toBeLessThan(0.0045); // a tenth of the way
  expect(measured.mean).toBeLessThan(0.01 * measure(1).mean);
  expect(measured.mean).toBe(measure(gain).mean);
});

test("fitGain() lowers the confidence of noisy logits, nearly as far as the best of all gains", () => {
  const random = new Random(2);
  const originals = Array.from({ length: 400 }, () => Array.from({ length: 12 }, () => 2 * random.normal()));
  const noisy = originals.map((logits) => logits.map((logit) => logit + 0.3 * random.normal()));
  const measure = (gain: number) => windows([divergence(originals, noisy, gain)]);
  const { gain, measured } = fitGain(measure);
  const least = Math.min(...Array.from({ length: 161 }, (_, i) => measure(0.92 + i / 1000).mean));
  expect(gain).toBeLessThan(0.99);
  expect(measured.mean - least).toBeLessThan(0.01 * (measure(1).mean - least));
});

test("fitGain() keeps 1 where it is the best, and where windows disagree about another", () => {
  expect(fitGain((gain) => windows([1 + (gain - 1) ** 2, 2 + (gain - 1) ** 2])).gain).toBe(1);
  const apart = fitGain((gain) => windows([1 + (gain - 1.08) ** 2, 1 + (gain - 0.93) ** 2]));
  expect(apart.gain).toBe(1);
  expect(apart.measured.mean).toBeCloseTo(1 + (0.08 ** 2 + 0.07 ** 2) / 2, 12);
});

test("fitGain() stays within a few percent where divergence only falls", () => {
  expect(fitGain((gain) => windows([3 - gain, 3 - gain])).gain).toBeCloseTo(1.08, 12);
});

test("recoverOutputGain() leaves an unrounded model alone, and takes the loudness from one that is too loud", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pare-output-gain-"));
  try {
    const path = join(folder, "plain.gguf");
    await writeSyntheticModel(path, { layers: 1 });
    using lab = await WeightLab.open(loadEngine(), path, { threads: 1 });
    const random = new Random(3);
    const tokens = Int32Array.from({ length: 6 * 64 }, () => 259 + random.integer(253));
    lab.measureBaseline({ tokens, contextLength: 64 });
    using exact = lab.realModel({ types: new Map(), bytes: () => new Uint8Array() });
    const untouched = recoverOutputGain(lab, exact);
    expect(untouched.bytes).toBeUndefined();
    expect(untouched.divergence.mean).toBeLessThan(1e-6);

    const output = new Uint8Array(lab.originalValues("output.weight").map((value) => value * 1.05).buffer);
    using loud = lab.realModel({ types: new Map([["output.weight", "f32"]]), bytes: () => output });
    const before = loud.divergence().mean;
    const { bytes, divergence: after } = recoverOutputGain(lab, loud);
    const norm = lab.originalValues("output_norm.weight");
    const gains = new Float32Array(bytes!.buffer).map((value, i) => value / norm[i]!);
    for (const gain of gains) expect(Math.abs(gain - 1 / 1.05)).toBeLessThan(0.005); // a tenth of the way
    expect(after.mean).toBeLessThan(0.02 * before);
    expect(loud.divergence().mean).toBe(after.mean);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
