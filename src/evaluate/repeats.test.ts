import { expect, test } from "vitest";

import { mergeRepeats, repeatsOf, samplerOf } from "./repeats.js";
import type { CaseResult } from "./task-result.js";

const asked = (...scores: (number | null)[]): CaseResult =>
  mergeRepeats(
    scores.map((score, index) => ({ id: "x", score, answer: `answer ${index}`, answerTokens: 2 }) as CaseResult),
  );

test("repeatsOf() estimates pass^k from how many of n answers are right", () => {
  const { count, passPower, passAny, flickerRate } = repeatsOf([
    asked(1, 1, 1, 1),
    asked(1, 1, 0, 1),
    asked(0, 0, 0, 0),
    asked(1, 0, 0, 0),
  ])!;
  expect({ count, passAny, flickerRate }).toEqual({ count: 4, passAny: 0.75, flickerRate: 0.5 });
  expect(passPower[0]).toBeCloseTo((1 + 3 / 4 + 0 + 1 / 4) / 4);
  expect(passPower[1]).toBeCloseTo((1 + 3 / 6) / 4); // C(3, 2) of C(4, 2) pairs are both right
  expect(passPower[3]).toBeCloseTo(1 / 4);
});

test("mergeRepeats() keeps every answer, shows the first that is not right, and means over what could be scored", () => {
  const merged = asked(1, null, 0);
  expect(merged).toMatchObject({ score: 0.5, answer: "answer 1", answerTokens: 6 });
  expect(merged.repeats).toHaveLength(3);
  expect(asked(null, null).score).toBeNull();
});

test("samplerOf() draws the same for the same case, repeat and seed; a single answer is greedy", () => {
  const logits = Float32Array.from({ length: 50 }, (_, index) => Math.sin(index));
  const draw = (id: string, repeat: number, seed?: number) => {
    const sampler = samplerOf(id, repeat, { repeats: 2, temperature: 2, ...(seed === undefined ? {} : { seed }) })!;
    return Array.from({ length: 8 }, () => sampler(logits));
  };
  expect(draw("a", 0)).toEqual(draw("a", 0));
  expect(draw("a", 1)).not.toEqual(draw("a", 0));
  expect(draw("b", 0)).not.toEqual(draw("a", 0));
  expect(draw("a", 0, 7)).not.toEqual(draw("a", 0));
  expect(samplerOf("a", 0, {})).toBeUndefined();
});
