import { expect, test } from "vitest";

import { PareError } from "../../errors.js";
import type { LlamaModel } from "../../native/llama-model.js";
import { dealWindows, spread } from "./calibration-windows.js";

const CONTEXT = 16;
const BOS = 1;

test("dealWindows() deals every window once: some to measure on, spread over the text, the others to statistics", () => {
  const dealt = dealWindows(countingModel(), ["x".repeat(40 * CONTEXT)], plenty, { contextLength: CONTEXT });
  const { statistics, measurement, measurementWindows } = dealt;
  expect([measurementWindows, measurement.length]).toEqual([5, 5 * CONTEXT]); // an eighth of 40
  const measured = windowsOf(measurement).map(numberOf);
  expect(measured).toEqual([4, 12, 20, 28, 36]);
  const others = statistics.map(numberOf);
  expect([...measured, ...others].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
  for (const window of [...statistics, ...windowsOf(measurement)])
    expect([window.length, window[0]]).toEqual([CONTEXT, BOS]);
});

test("dealWindows() takes no more tokens than are wanted, at even distances", () => {
  const wanted = { statisticsTokens: 5 * CONTEXT, measureTokens: CONTEXT + 1 };
  const { statistics, measurementWindows } = dealWindows(countingModel(), ["x".repeat(100 * CONTEXT)], wanted, {
    contextLength: CONTEXT,
  });
  expect(measurementWindows).toBe(2);
  const numbers = statistics.map(numberOf);
  expect(numbers).toHaveLength(5);
  const gaps = numbers.slice(1).map((number, i) => number - numbers[i]!);
  for (const gap of gaps) expect(Math.abs(gap - 20)).toBeLessThanOrEqual(2);
});

test("dealWindows() of two windows gives one to each purpose, of fewer an error with the numbers", () => {
  const model = countingModel();
  const options = { contextLength: CONTEXT };
  const { statistics, measurementWindows } = dealWindows(model, ["x".repeat(2 * CONTEXT)], plenty, options);
  expect([statistics.length, measurementWindows]).toEqual([1, 1]);
  const short = () => dealWindows(model, ["x".repeat(2 * CONTEXT - 1)], plenty, options);
  expect(short).toThrow("Cannot calibrate: the text has 16 tokens in whole windows, 32 are needed");
  expect(short).toThrow(PareError);
});

test("dealWindows() joins texts, and reads control tokens only when asked to", () => {
  const asked: unknown[] = [];
  const model = countingModel((options) => asked.push(options));
  const texts = ["x".repeat(CONTEXT), "y".repeat(CONTEXT), "z".repeat(CONTEXT)];
  const { statistics, measurementWindows } = dealWindows(model, texts, plenty, { contextLength: CONTEXT });
  expect(statistics.length + measurementWindows).toBe(3);
  dealWindows(model, texts, plenty, { contextLength: CONTEXT, parseSpecial: true });
  expect(asked).toEqual(
    [false, false, false, true, true, true].map((parseSpecial) => ({ addSpecial: true, parseSpecial })),
  );
});

test("spread() keeps all that is asked for or less, in order, none twice", () => {
  const items = Array.from({ length: 10 }, (_, i) => i);
  expect(spread(items, 12)).toEqual(items);
  for (let count = 1; count <= 10; count++) {
    const chosen = spread(items, count);
    expect(chosen).toHaveLength(count);
    expect(new Set(chosen).size).toBe(count);
    expect(chosen).toEqual(chosen.toSorted((a, b) => a - b));
  }
  expect(spread(items, 1)).toEqual([5]);
});

const plenty = { statisticsTokens: 1e6, measureTokens: 1e6 };

/** A vocabulary of one token per character, each the number of its place in the text, and a BOS to start windows with. */
function countingModel(onTokenize: (options: unknown) => void = () => undefined): LlamaModel {
  return {
    addsBos: true,
    bosToken: BOS,
    contextLengthTrained: 512,
    metadata: () => undefined,
    tokenize: (text: string, options: unknown) => {
      onTokenize(options);
      return Int32Array.from({ length: text.length }, (_, i) => 100 + i);
    },
  } as unknown as LlamaModel;
}

/** Which of its text's windows it is; the first token is BOS. */
function numberOf(window: Int32Array): number {
  return (window[1]! - 101) / CONTEXT;
}

function windowsOf(tokens: Int32Array): Int32Array[] {
  return Array.from({ length: tokens.length / CONTEXT }, (_, i) => tokens.slice(i * CONTEXT, (i + 1) * CONTEXT));
}
