import { expect, test } from "vitest";

import { argmax } from "../support/argmax.js";
import { createSampler } from "./sample.js";

const logits = Float32Array.of(1, 3, 2, -1, 2.5);

function drawn(options: Parameters<typeof createSampler>[0], count = 2000): Map<number, number> {
  const sampler = createSampler(options);
  const counts = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const token = sampler(logits);
    counts.set(token, (counts.get(token) ?? 0) + 1);
  }
  return counts;
}

test("argmax() finds the first of the highest wherever it stands", () => {
  for (let length = 1; length <= 13; length++) {
    for (let at = 0; at < length; at++) {
      const values = Float32Array.from({ length }, (_, i) => (i === at ? 5 : -i));
      expect(argmax(values)).toBe(at);
      if (at > 0) expect(argmax(values.map((value, i) => (i === 0 ? 5 : value)))).toBe(0);
    }
  }
  expect(argmax(Float32Array.of(1, Number.NaN, 2, 2, Number.NaN))).toBe(2);
});

test("createSampler() is greedy when asked, and at temperature 0", () => {
  expect(createSampler({ greedy: true })(logits)).toBe(1);
  expect(createSampler({ temperature: 0 })(logits)).toBe(1);
});

test("the same seed draws the same tokens, another seed others", () => {
  const draw = (seed: number) => {
    const sampler = createSampler({ seed, temperature: 2 });
    return Array.from({ length: 50 }, () => sampler(logits));
  };
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
});

test("top-k, top-p and min-p each leave only the likeliest tokens", () => {
  expect([...drawn({ topK: 2, topP: 1, minP: 0, temperature: 5 }).keys()].sort()).toEqual([1, 4]);
  expect([...drawn({ topK: 0, topP: 0.5, minP: 0, temperature: 5 }).keys()].sort()).toEqual([1, 4]); // 0.45 + 0.27
  expect([...drawn({ topK: 0, topP: 1, minP: 0.5, temperature: 5 }).keys()].sort()).toEqual([1, 4]); // e^-0.5 = 0.61, e^-1 = 0.37
});

test.each([{ topP: 0 }, { minP: 1 }, { topK: 1 }])(
  "%j leaves the likeliest token alone, as llama.cpp does",
  (limit) => {
    expect([...drawn({ topK: 0, topP: 1, minP: 0, temperature: 5, ...limit }).keys()]).toEqual([1]);
  },
);

test("without limits, tokens come as often as softmax(logits / temperature) says", () => {
  const temperature = 1.5;
  const weights = Array.from(logits, (logit) => Math.exp(logit / temperature));
  const sum = weights.reduce((a, b) => a + b, 0);
  const counts = drawn({ topK: 0, topP: 1, minP: 0, temperature, seed: 3 }, 20_000);
  for (const [token, weight] of weights.entries()) {
    const share = weight / sum;
    const standardError = Math.sqrt((share * (1 - share)) / 20_000);
    expect(Math.abs((counts.get(token) ?? 0) / 20_000 - share)).toBeLessThan(4 * standardError);
  }
});

test("likelier tokens beyond top-k's first are found wherever they stand", () => {
  const many = Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i * 12.9898) * 10);
  const best = Array.from(many.keys()).sort((a, b) => many[b]! - many[a]!);
  const sampler = createSampler({ topK: 3, topP: 1, minP: 0, temperature: 100 });
  const seen = new Set(Array.from({ length: 200 }, () => sampler(many)));
  expect([...seen].sort()).toEqual(best.slice(0, 3).sort());
});

test.each([
  { temperature: -1 },
  { topP: -0.1 },
  { topP: 1.5 },
  { minP: 2 },
  { topK: -1 },
  { topK: 2.5 },
  { temperature: Number.NaN },
])("createSampler() refuses %j", (options) => {
  expect(() => createSampler(options)).toThrow(RangeError);
});
