import { expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { FormatError } from "../errors.js";
import { measureLoad } from "./measure-load.js";

const model = sharedModel("stories260K-f32.gguf");

test.skipIf(!model)(
  "measureLoad() times every first token and every token after it, for each concurrency",
  async () => {
    const loads = await measureLoad({
      model: model!,
      concurrencies: [1, 3],
      promptTokens: 40,
      answerTokens: 6,
      threads: 1,
      secondsMax: 0,
    });
    expect(loads.map(({ concurrency }) => concurrency)).toEqual([1, 3]);
    for (const { concurrency, requests, firstTokenSeconds, tokenSeconds, secondsPerRequest } of loads) {
      expect(requests).toBe(concurrency); // one round at least
      expect(firstTokenSeconds.count).toBe(requests);
      expect(tokenSeconds.count).toBe(5 * requests);
      expect(firstTokenSeconds.p50).toBeGreaterThan(0);
      expect(secondsPerRequest).toBeGreaterThan(0);
    }
  },
);

test.skipIf(!model)("measureLoad() stays within the length that the model was trained for", async () => {
  const request = { model: model!, concurrencies: [1], promptTokens: 1e6, answerTokens: 4, threads: 1, secondsMax: 0 };
  const [load] = await measureLoad(request);
  expect(load!.promptTokens + load!.answerTokens).toBeLessThanOrEqual(2048);
});

test("measureLoad() names a model that is not there", async () => {
  const request = { model: "no-such.gguf", concurrencies: [1], promptTokens: 1, answerTokens: 1 };
  await expect(measureLoad(request)).rejects.toThrow(FormatError);
});
