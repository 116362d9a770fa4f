import { expect, test } from "vitest";

import { batchShape, cutWindows } from "./windows.js";

const tokens = (...values: number[]) => Int32Array.from(values);

test("cutWindows() cuts one stream from all texts and drops what is left over", () => {
  const { windows, tokensTotal } = cutWindows([tokens(1, 2, 3), tokens(4, 5, 6, 7)], 3, {});
  expect(windows).toEqual([tokens(1, 2, 3), tokens(4, 5, 6)]);
  expect(tokensTotal).toBe(6);
});

test("cutWindows() puts BOS in place of the first token of each window", () => {
  const text = tokens(1, 2, 3, 4);
  expect(cutWindows([text], 2, { bos: 9 }).windows).toEqual([tokens(9, 2), tokens(9, 4)]);
  expect(text).toEqual(tokens(1, 2, 3, 4));
});

test("cutWindows() takes no more windows than asked for", () => {
  expect(cutWindows([tokens(1, 2, 3, 4)], 1, { windowsMax: 3 }).windows).toHaveLength(3);
});

test("cutWindows() says how many tokens there are and how many a window takes", () => {
  expect(() => cutWindows([tokens(1, 2, 3)], 512, {})).toThrow("the text has 3 tokens, one window takes 512");
});

test("batchShape() takes several short windows in one call and a long one in several", () => {
  expect(batchShape(256, 32_000)).toEqual({ sequences: 4, batchTokens: 1024 });
  expect(batchShape(4096, 512)).toEqual({ sequences: 1, batchTokens: 2048 });
});

test("batchShape() bounds the logits of a call and makes no room for windows that are not there", () => {
  expect(batchShape(512, 256_000)).toEqual({ sequences: 1, batchTokens: 128 });
  expect(batchShape(512, 66_000)).toEqual({ sequences: 1, batchTokens: 384 }); // 508 would leave a piece of 4
  expect(batchShape(64, 512, 4)).toEqual({ sequences: 4, batchTokens: 256 });
});
