import { expect, test } from "vitest";

import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { Random } from "../../support/random.js";
import { type TensorEvidence, fitSensitivity } from "./sensitivity.js";

const KINDS = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];

/** True levels ln s of a model: kind effect + layer effect + what is the tensor's own. */
function drawLevels(random: Random, layers: number, spread: number): Map<string, number> {
  const kinds = KINDS.map((kind) => [kind, 1.5 * random.normal()] as const);
  const levels = new Map<string, number>();
  for (let layer = 0; layer < layers; layer++) {
    const effect = 0.6 * random.normal();
    for (const [kind, value] of kinds) {
      levels.set(`blk.${layer}.${kind}.weight`, value + effect + spread * random.normal());
    }
  }
  return levels;
}

function measure(random: Random, level: number, layerError: number, noiseShare: number, type: GgmlType = "q4_K") {
  const truth = Math.exp(level) * layerError;
  const mean = truth * (1 + noiseShare * random.normal());
  return { type, layerError, mean, standardError: noiseShare * truth };
}

function errorsOf(levels: Map<string, number>, guess: (name: string) => number): number {
  const squares = [...levels].map(([name, level]) => (guess(name) - level) ** 2);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

test("fitSensitivity() gives back the sensitivities that noiseless measurements come from", () => {
  const random = new Random(1);
  const levels = drawLevels(random, 6, 0.5);
  const evidence = [...levels].map(([name, level]) => ({
    name,
    substitutions: [measure(random, level, 0.01, 0), measure(random, level, 0.002, 0)],
  }));
  const { exponent, levels: fitted, predict } = fitSensitivity(evidence);
  expect(exponent).toBeCloseTo(1, 6);
  expect(errorsOf(levels, (name) => Math.log(fitted.get(name)!))).toBeLessThan(0.01);
  for (const [name, level] of levels) {
    expect(predict(name, 0.01) / (0.01 * Math.exp(level))).toBeCloseTo(1, 2);
    expect(predict(name, 0.0001) / (0.0001 * Math.exp(level))).toBeCloseTo(1, 2);
  }
});

test("fitSensitivity() steadies noisy measurements: closer to the truth than the measurements and than the model alone", () => {
  const random = new Random(2);
  const levels = drawLevels(random, 12, 0.3);
  const evidence = [...levels].map(([name, level]) => ({ name, substitutions: [measure(random, level, 0.01, 0.4)] }));
  const { levels: fitted } = fitSensitivity(evidence);
  const raw = new Map(
    evidence.map(({ name, substitutions }) => [
      name,
      Math.log(Math.max(substitutions[0]!.mean, substitutions[0]!.standardError) / 0.01),
    ]),
  );
  const rawError = errorsOf(levels, (name) => raw.get(name)!);
  const fittedError = errorsOf(levels, (name) => Math.log(fitted.get(name)!));
  expect(fittedError).toBeLessThan(0.75 * rawError);
  expect(fittedError).toBeLessThan(0.3); // what the layer and the kind alone leave
});

test("fitSensitivity() leaves precise measurements of an odd tensor alone", () => {
  const random = new Random(3);
  const levels = drawLevels(random, 8, 0.2);
  const odd = "blk.3.ffn_down.weight";
  levels.set(odd, levels.get(odd)! + 3); // as super weights make it
  const evidence = [...levels].map(([name, level]) => ({ name, substitutions: [measure(random, level, 0.01, 0.02)] }));
  const { predict } = fitSensitivity(evidence);
  expect(predict(odd, 0.01) / (0.01 * Math.exp(levels.get(odd)!))).toBeGreaterThan(0.8);
  const neighbour = "blk.4.ffn_down.weight"; // and it does not spoil its kind
  expect(Math.abs(Math.log(predict(neighbour, 0.01) / 0.01) - levels.get(neighbour)!)).toBeLessThan(0.2);
});

test("fitSensitivity() expects of tensors that were not measured what their layer and kind tell", () => {
  const random = new Random(4);
  const levels = drawLevels(random, 10, 0.05);
  const evidence = [...levels].map(([name, level], i) => ({
    name,
    substitutions: i % 3 === 0 ? [measure(random, level, 0.01, 0.05)] : [],
  }));
  const { levels: fitted } = fitSensitivity(evidence);
  expect(errorsOf(levels, (name) => Math.log(fitted.get(name)!))).toBeLessThan(0.35);
});

test("fitSensitivity() finds the common exponent and goes through what was measured", () => {
  const evidence = [2, 0.5, 1, 4].map((level, layer) => ({
    name: `blk.${layer}.attn_q.weight`,
    substitutions: ([0.05, 0.003] as const).map((layerError) => ({
      type: "q3_K" as GgmlType,
      layerError,
      mean: level * layerError ** 1.2,
      standardError: 1e-9,
    })),
  }));
  const { exponent, predict } = fitSensitivity(evidence);
  expect(exponent).toBeGreaterThan(1.1);
  expect(exponent).toBeLessThanOrEqual(1.2);
  for (const { name, substitutions } of evidence) {
    for (const { layerError, mean } of substitutions) expect(predict(name, layerError) / mean).toBeCloseTo(1, 2);
  }
});

test("predict() never falls with the error, even where the measurements do, and is above 0", () => {
  const name = "blk.0.attn_q.weight";
  const substitutions = [
    { type: "q4_0", layerError: 0.006, mean: 0.01, standardError: 0.001 },
    { type: "q4_1", layerError: 0.005, mean: 0.012, standardError: 0.001 }, // out of order
    { type: "q8_0", layerError: 0.00003, mean: -1e-9, standardError: 1e-7 }, // lost in noise
    { type: "f16", layerError: 0, mean: 0, standardError: 0 },
  ] as const;
  const { predict } = fitSensitivity([{ name, substitutions }]);
  const errors = Array.from({ length: 200 }, (_, i) => 10 ** (-9 + (9 * i) / 199));
  const losses = errors.map((error) => predict(name, error));
  expect(losses[0]).toBeGreaterThan(0);
  for (const [i, loss] of losses.entries()) if (i > 0) expect(loss).toBeGreaterThanOrEqual(losses[i - 1]!);
  expect(predict(name, 0)).toBe(0);
});

test("fitSensitivity() stays finite with a tensor that nothing depends on, and without any measurement", () => {
  const dead: TensorEvidence[] = KINDS.map((kind, i) => ({
    name: `blk.0.${kind}.weight`,
    substitutions: [{ type: "q4_K", layerError: 0.01, mean: i === 0 ? 0 : 0.02, standardError: i === 0 ? 0 : 0.001 }],
  }));
  const { levels } = fitSensitivity(dead);
  const [unused, ...others] = [...levels.values()] as [number, ...number[]];
  expect(unused).toBeGreaterThan(0);
  expect(unused).toBeLessThan(Math.min(...others));
  const blank = fitSensitivity([{ name: "output.weight", substitutions: [] }]);
  expect(blank.predict("output.weight", 0.01)).toBeCloseTo(0.01, 12);
  expect(() => blank.predict("token_embd.weight", 0.01)).toThrow("Nothing is known");
});
