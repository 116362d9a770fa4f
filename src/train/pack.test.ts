// Packing: every target once, no token of another document in sight, the same order for the same seed.
import { expect, test } from "vitest";

import { UsageError } from "../errors.js";
import type { Document } from "./documents.js";
import {
  DataOrder,
  packSequences,
  packValidation,
  requireSequence,
  VALIDATION_TOKENS_MAX,
  splitValidation,
} from "./pack.js";

const documentOf = (first: number, length: number, given = 0): Document => ({
  tokens: Int32Array.from({ length }, (_, i) => first + i),
  counts: Uint8Array.from({ length }, (_, i) => (i < given ? 0 : 1)),
});

/** Pairs of a token and what is to follow it, as far as they count. */
function pairsOf(sequences: ReturnType<typeof packSequences>): string[] {
  return sequences.flatMap(({ tokens, targets, weights }) =>
    [...tokens].flatMap((token, i) => (weights[i]! > 0 ? [`${token} ${targets[i]}`] : [])),
  );
}

test("packSequences() gives every target of every document exactly once, and padding counts nothing", () => {
  const documents = [documentOf(0, 21), documentOf(100, 3), documentOf(200, 9), documentOf(300, 2), documentOf(400, 1)];
  const sequences = packSequences(documents, 8);
  const wanted = documents.flatMap(({ tokens }) => [...tokens].slice(1).map((token) => `${token - 1} ${token}`));
  expect(pairsOf(sequences).toSorted()).toEqual(wanted.toSorted());
  for (const { tokens, documents: numbers } of sequences) {
    expect(tokens).toHaveLength(8);
    for (let i = 1; i < 8; i++)
      if (numbers[i] === numbers[i - 1] && numbers[i] !== -1) expect(tokens[i]).toBe(tokens[i - 1]! + 1);
  }
});

test("packValidation() takes of a long text some of every part, and all of a short one", () => {
  const length = 8;
  const count = VALIDATION_TOKENS_MAX / length;
  const long = packValidation([documentOf(0, 4 * VALIDATION_TOKENS_MAX + 1)], length);
  expect(long).toHaveLength(count);
  const quarters = long.map(({ tokens }) => Math.floor(tokens[0]! / VALIDATION_TOKENS_MAX));
  expect([0, 1, 2, 3].map((quarter) => quarters.filter((one) => one === quarter).length)).toEqual(
    Array.from({ length: 4 }, () => count / 4),
  );
  expect(packValidation([documentOf(0, 41)], length)).toEqual(packSequences([documentOf(0, 41)], length));
});

test("packSequences() leaves out what is given, and sequences in which nothing counts", () => {
  const sequences = packSequences([documentOf(0, 9, 5), documentOf(100, 9, 9)], 8);
  expect(pairsOf(sequences)).toEqual(["4 5", "5 6", "6 7", "7 8"]);
});

test("requireSequence() refuses a text shorter than a sequence and says what would fit", () => {
  const pack = (): unknown => requireSequence([documentOf(0, 5), documentOf(9, 3)], 8);
  expect(pack).toThrow("The training text is shorter than one sequence: 6 tokens, a sequence takes 8");
  expect(pack).toThrow(expect.objectContaining({ hint: "Use more text, or --context 6" }));
});

test("splitValidation() takes the end of the text", () => {
  const { train, validation } = splitValidation([documentOf(0, 10), documentOf(100, 6), documentOf(200, 4)], 0.4);
  expect(train.map(({ tokens }) => [...tokens])).toEqual([
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [100, 101],
  ]);
  expect(validation.map(({ tokens }) => [...tokens])).toEqual([
    [102, 103, 104, 105],
    [200, 201, 202, 203],
  ]);
  expect(splitValidation([documentOf(0, 10)], 0).validation).toEqual([]);
});

test("DataOrder shows every sequence once an epoch, in an order that follows from seed and epoch alone", () => {
  const sequences = packSequences([documentOf(0, 81)], 8);
  const order = new DataOrder(sequences, 2, 5);
  expect(order.stepsPerEpoch).toBe(5);
  const epoch = (first: number): number[] =>
    [0, 1, 2, 3, 4].flatMap((i) => order.at(first + i).map(({ tokens }) => tokens[0]!));
  const one = epoch(1);
  expect(one.toSorted((a, b) => a - b)).toEqual([0, 8, 16, 24, 32, 40, 48, 56, 64, 72]);
  expect(epoch(6)).not.toEqual(one);
  const again = new DataOrder(sequences, 2, 5);
  expect(again.at(9)).toEqual(order.at(9));
  expect(new DataOrder(sequences, 2, 6).at(1)).not.toEqual(order.at(1));
  expect(() => new DataOrder(sequences, 11, 0)).toThrow(UsageError);
});
