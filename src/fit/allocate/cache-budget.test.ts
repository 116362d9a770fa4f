import { expect, test } from "vitest";

import { LLAMA, metadataOf } from "../../../test/model-shapes.js";
import { ResourceError, UsageError } from "../../errors.js";
import { kvCacheBytes } from "../../model/memory.js";
import { modelSpec } from "../../model/spec.js";
import { parseCacheBudget, requireCacheRoom } from "./cache-budget.js";

test.each([
  ["16MB@4096", 16_000_000, 4096],
  [" 1.5 GiB@32k ", 1.5 * 2 ** 30, 32_768],
  ["123456B@1", 123_456, 1],
])('parseCacheBudget() reads "%s"', (text, bytesMax, contextLength) => {
  expect(parseCacheBudget(text)).toEqual({ bytesMax, contextLength });
});

test.each(["", "16MB", "16@4096", "@4096", "16MB@", "16MB@0", "0B@4096", "16XB@4096", "q8_0", "-1MB@4096", "16MB@4.5"])(
  'parseCacheBudget() refuses "%s" and says how it is written',
  (text) => {
    expect(() => parseCacheBudget(text)).toThrow(UsageError);
    expect(() => parseCacheBudget(text)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("16MB@4096") }),
    );
  },
);

test("requireCacheRoom() refuses what the smallest types exceed by a byte, and names them", () => {
  const spec = modelSpec(metadataOf("llama", { ...LLAMA, embedding_length: 128 }), new Map());
  const smallest = kvCacheBytes(spec, 1024, { typeK: "q4_0", typeV: "q4_0" });
  requireCacheRoom(spec, { bytesMax: smallest, contextLength: 1024 });
  const refused = () => requireCacheRoom(spec, { bytesMax: smallest - 1, contextLength: 1024 });
  expect(refused).toThrow(ResourceError);
  expect(refused).toThrow("the smallest KV cache (K q4_0, V q4_0) takes");
  expect(refused).toThrow(expect.objectContaining({ hint: expect.stringContaining(`${smallest}B`) }));
});
