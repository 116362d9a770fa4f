import { expect, test } from "vitest";

import { summarizeText } from "./summarize-text.js";

test("summarizeText() works out a small example: two windows of two tokens", () => {
  const candidate = Float64Array.of(1, 2, 3, 2);
  const baseline = Float64Array.of(1, 1, 2, 2);
  const summary = summarizeText(
    {
      negativeLogLikelihoods: candidate,
      against: {
        negativeLogLikelihoods: baseline,
        klDivergences: Float64Array.of(0.1, 0.2, 0.3, 0),
        isSameTop: Uint8Array.of(1, 1, 0, 1),
      },
    },
    [4, 7],
    2,
  );
  expect(summary.tokens).toBe(4);
  expect(summary.perplexity.mean).toBeCloseTo(Math.exp(2), 12);
  // The windows' means are 1.5 and 2.5: the mean of both has the standard error 0.5.
  expect(summary.perplexity.standardError).toBeCloseTo(0.5 * Math.exp(2), 12);
  expect(summary.perplexity.standardErrorIfIndependent).toBeCloseTo(Math.exp(2) * Math.sqrt(2 / 3 / 4), 12);
  expect(summary.baselinePerplexity!.mean).toBeCloseTo(Math.exp(1.5), 12);
  expect(summary.logPerplexityRatio).toEqual({ mean: 0.5, standardError: 0 });
  expect(summary.perplexityRatio!.mean).toBeCloseTo(Math.exp(-0.5), 12);
  expect(summary.klDivergence!.mean).toBeCloseTo(0.15, 12);
  expect(summary.klDivergence!.median).toBeCloseTo(0.15, 12);
  expect(summary.sameTopRate).toBe(0.75);
  expect(summary.probabilityChange!.mean).toBeCloseTo(
    (Math.exp(-2) - Math.exp(-1) + Math.exp(-3) - Math.exp(-2)) / 4,
    12,
  );
  expect(summary.windows).toEqual([
    {
      window: 4,
      tokens: 2,
      negativeLogLikelihood: 3,
      baselineNegativeLogLikelihood: 2,
      klDivergence: expect.closeTo(0.3, 12),
    },
    {
      window: 7,
      tokens: 2,
      negativeLogLikelihood: 5,
      baselineNegativeLogLikelihood: 4,
      klDivergence: expect.closeTo(0.3, 12),
    },
  ]);
});

test("summarizeText() of one window has no interval for the ratio and takes tokens as independent", () => {
  const values = Float64Array.of(1, 3);
  const against = {
    negativeLogLikelihoods: values,
    klDivergences: Float64Array.of(0, 0),
    isSameTop: Uint8Array.of(1, 1),
  };
  const summary = summarizeText({ negativeLogLikelihoods: values, against }, [0], 2);
  expect(summary.perplexityRatio).toBeUndefined();
  expect(summary.perplexity.standardError).toBe(summary.perplexity.standardErrorIfIndependent);
});

test("summarizeText() without a baseline reports perplexity alone", () => {
  expect(Object.keys(summarizeText({ negativeLogLikelihoods: Float64Array.of(1, 1) }, [0], 2))).toEqual([
    "tokens",
    "perplexity",
    "windows",
  ]);
});
