import { expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { FormatError } from "../errors.js";
import { measureSpeed } from "./measure-speed.js";

const model = sharedModel("stories260K-f32.gguf");

test.skipIf(!model)("measureSpeed() takes medians of as many samples as asked for", async () => {
  const seen: string[] = [];
  const result = await measureSpeed(
    { model: model!, promptTokens: 32, decodeTokens: 8, repeats: 3, threads: 1 },
    { onProgress: ({ stage, done, total }) => seen.push(`${stage} ${done}/${total}`) },
  );
  expect(result.prefillSamples).toHaveLength(3);
  expect(result.decodeSamples).toHaveLength(3);
  expect(result.decodeTokensPerSecond).toBe([...result.decodeSamples].sort((a, b) => a - b)[1]);
  expect(result.decodeTokensPerSecond).toBeGreaterThan(0);
  expect(result.prefillTokensPerSecond).toBeGreaterThan(0);
  const stages = ["measuring prefill", "measuring decode"];
  expect(seen).toEqual(stages.flatMap((stage) => [1, 2, 3].map((done) => `${stage} ${done}/3`)));
});

test.skipIf(!model)("measureSpeed() stays within the length that the model was trained for", async () => {
  const result = await measureSpeed({ model: model!, promptTokens: 1e6, decodeTokens: 4, repeats: 1, threads: 1 });
  expect(result.promptTokens).toBeLessThanOrEqual(2048);
});

test.skipIf(!model)("measureSpeed() stops repeating when its seconds are over, with one sample at least", async () => {
  const result = await measureSpeed({
    model: model!,
    promptTokens: 8,
    decodeTokens: 8,
    repeats: 1000,
    threads: 1,
    secondsMax: 0,
  });
  expect(result.decodeSamples).toHaveLength(1);
});

test("measureSpeed() names a model that is not there", async () => {
  await expect(measureSpeed({ model: "no-such.gguf" })).rejects.toThrow(FormatError);
});
