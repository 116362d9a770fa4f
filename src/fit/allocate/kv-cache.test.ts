import { expect, test } from "vitest";

import { LLAMA, metadataOf } from "../../../test/model-shapes.js";
import { kvCacheBytes } from "../../model/memory.js";
import { modelSpec } from "../../model/spec.js";
import {
  type CacheMeasurement,
  cacheChoices,
  cacheTypes,
  chooseCacheTypes,
  shareMemory,
  smallestCache,
} from "./kv-cache.js";

// Four heads of 32: whole blocks of every type.
const spec = modelSpec(metadataOf("llama", { ...LLAMA, embedding_length: 128 }), new Map());
const one = (typeK: CacheMeasurement["typeK"], typeV: CacheMeasurement["typeV"], mean: number) => ({
  typeK,
  typeV,
  divergence: { mean, standardError: mean / 10 },
});
const measurements = [
  one("q8_0", "f16", 0.001),
  one("f16", "q8_0", 0.0004),
  one("q4_0", "f16", 0.05),
  one("f16", "q4_0", 0.008),
  one("q8_0", "q8_0", 0.0013),
];
const request = { spec, contextLength: 1024, measurements };
const bytesOf = (typeK: CacheMeasurement["typeK"], typeV: CacheMeasurement["typeV"]) =>
  kvCacheBytes(spec, 1024, { typeK, typeV });

test("cacheChoices() takes measured pairs as they are and adds up the others", () => {
  const choices = cacheChoices(request);
  const find = (typeK: string, typeV: string) => choices.find((one) => one.typeK === typeK && one.typeV === typeV);
  expect(choices).toHaveLength(9);
  expect(find("q8_0", "q8_0")).toMatchObject({ divergence: 0.0013, measured: true, bytes: bytesOf("q8_0", "q8_0") });
  expect(find("q8_0", "q4_0")).toMatchObject({ divergence: 0.001 + 0.008, measured: false });
  expect(find("f16", "f16")).toMatchObject({ divergence: 0 });
  expect(choices.map(({ bytes }) => bytes)).toEqual(choices.map(({ bytes }) => bytes).sort((a, b) => a - b));
});

test("chooseCacheTypes() spares the keys when memory is short", () => {
  const types = (bytesMax: number) => {
    const { typeK, typeV } = chooseCacheTypes(request, bytesMax);
    return `${typeK}/${typeV}`;
  };
  expect(types(bytesOf("f16", "f16"))).toBe("f16/f16");
  expect(types(bytesOf("f16", "f16") - 1)).toBe("f16/q8_0");
  expect(types(bytesOf("q8_0", "q8_0"))).toBe("q8_0/q8_0");
  expect(types(bytesOf("q8_0", "q4_0"))).toBe("q8_0/q4_0");
});

test("chooseCacheTypes() refuses a bound below the smallest cache and names it", () => {
  const smallest = bytesOf("q4_0", "q4_0");
  expect(chooseCacheTypes(request, smallest)).toMatchObject({ typeK: "q4_0", typeV: "q4_0" });
  expect(() => chooseCacheTypes(request, smallest - 1)).toThrow(/the smallest KV cache \(K q4_0, V q4_0\) takes/);
  expect(() => chooseCacheTypes({ ...request, measurements: [] }, 1)).toThrow("K f16, V f16");
});

test("cacheTypes() wants heads that are whole blocks", () => {
  expect(cacheTypes(48)).toEqual(["f16"]);
  expect(cacheTypes(64)).toContain("q4_0");
});

test("smallestCache() heeds heads that no block fits, and keeps f16 where types make no difference", () => {
  expect(smallestCache(spec, 1024)).toMatchObject({ typeK: "q4_0", typeV: "q4_0", bytes: bytesOf("q4_0", "q4_0") });
  const narrow = modelSpec(metadataOf("llama", { ...LLAMA, embedding_length: 48 }), new Map());
  expect(smallestCache(narrow, 1024)).toMatchObject({ typeK: "f16", typeV: "f16" });
  expect(smallestCache({ ...spec, cache: [] }, 1024)).toEqual({ typeK: "f16", typeV: "f16", bytes: 0 });
});

test("shareMemory() gives the cache bytes until the weights need them more", () => {
  const [full, eight, four] = [bytesOf("f16", "f16"), bytesOf("q8_0", "q8_0"), bytesOf("q4_0", "q4_0")];
  const steep = (bytes: number) => (bytes < 1000 ? undefined : 1000 / bytes);
  expect(shareMemory(request, full + 1e9, steep)).toMatchObject({ typeK: "f16", typeV: "f16", weightsBytesMax: 1e9 });
  const tight = shareMemory(request, eight + 3000, steep)!;
  expect(tight.weightsBytesMax).toBe(eight + 3000 - tight.bytes);
  expect(tight.bytes).toBeLessThan(eight);
  expect(shareMemory(request, four + 999, steep)).toBeUndefined();
});
