// The meter and the choice with measurements that are made up: what is measured, how often, and what comes of it.
import { expect, test } from "vitest";

import { LLAMA, metadataOf } from "../../../test/model-shapes.js";
import { EngineError, ResourceError, UsageError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { kvCacheBytes } from "../../model/memory.js";
import { modelSpec } from "../../model/spec.js";
import { CacheMeter, type CacheMeterRequest } from "./cache-meter.js";
import { chooseCache } from "./choose-cache.js";

// Four heads of 32: whole blocks of every type.
const spec = modelSpec(metadataOf("llama", { ...LLAMA, embedding_length: 128 }), new Map());
const CONTEXT = 1024;
const COSTS: Partial<Record<GgmlType, number>> = {
  f16: 0,
  q8_0: 1,
  q5_1: 10,
  q5_0: 20,
  q4_1: 60,
  q4_0: 90,
  iq4_nl: 80,
};
const bytesOf = (typeK: GgmlType, typeV: GgmlType) => kvCacheBytes(spec, CONTEXT, { typeK, typeV });

/** A meter whose keys cost three times what values do, and the list of what it measured. */
function meterOf(changes: Partial<CacheMeterRequest> & { pairs?: Record<string, number> } = {}) {
  const measured: string[] = [];
  const meter = new CacheMeter({
    spec,
    windowTokens: 64,
    measure: ({ typeK, typeV }) => {
      const pair = `${typeK}/${typeV}`;
      measured.push(pair);
      const mean = changes.pairs?.[pair] ?? (3 * COSTS[typeK]! + COSTS[typeV]!) / 1000;
      return { mean, standardError: mean / 10, tokens: 310 };
    },
    ...changes,
  });
  return { meter, measured };
}

test("chooseCache() measures nothing where f16 fits", async () => {
  const { meter, measured } = meterOf();
  const cache = await chooseCache({ bytesMax: bytesOf("f16", "f16"), contextLength: CONTEXT }, meter);
  expect(cache).toEqual({
    typeK: "f16",
    typeV: "f16",
    sizeBytes: bytesOf("f16", "f16"),
    contextLength: CONTEXT,
    divergence: { mean: 0, standardError: 0, tokens: 0, contextLength: 64 },
  });
  expect(measured).toEqual([]);
});

test("chooseCache() measures each half once and the pair that it chooses, and says on which windows", async () => {
  const { meter, measured } = meterOf();
  const cache = await chooseCache({ bytesMax: bytesOf("q8_0", "q5_1"), contextLength: CONTEXT }, meter);
  expect(cache).toMatchObject({ typeK: "q8_0", typeV: "q5_1", sizeBytes: bytesOf("q8_0", "q5_1") });
  expect(cache.divergence).toEqual({ mean: 0.013, standardError: 0.0013, tokens: 310, contextLength: 64 });
  expect(measured).toHaveLength(13);
  expect(new Set(measured).size).toBe(13);
  expect(measured.at(-1)).toBe("q8_0/q5_1");
  expect(meter.added).toHaveLength(13);
});

test("chooseCache() turns to another pair where the chosen one costs more than its halves", async () => {
  const { meter, measured } = meterOf({ pairs: { "q8_0/q5_1": 0.5 } });
  const cache = await chooseCache({ bytesMax: bytesOf("q8_0", "q5_1"), contextLength: CONTEXT }, meter);
  expect(cache).toMatchObject({ typeK: "q8_0", typeV: "q5_0", divergence: { mean: 0.023 } });
  expect(measured.slice(-2)).toEqual(["q8_0/q5_1", "q8_0/q5_0"]);
});

test("chooseCache() takes from a table what was measured on windows as long, and nothing else", async () => {
  const wish = { bytesMax: bytesOf("q8_0", "q8_0"), contextLength: CONTEXT };
  const first = meterOf();
  const chosen = await chooseCache(wish, first.meter);
  const again = meterOf({ known: first.meter.added });
  expect(await chooseCache(wish, again.meter)).toEqual(chosen);
  expect(again.measured).toEqual([]);
  expect(again.meter.added).toEqual([]);
  const longer = meterOf({ known: first.meter.added, windowTokens: 128 });
  await chooseCache(wish, longer.meter);
  expect(longer.measured).toHaveLength(13);
});

test("chooseCache() leaves out types that the engine refuses, and says what the smallest of the others takes", async () => {
  const measure: CacheMeterRequest["measure"] = ({ typeK, typeV }) => {
    if (typeV !== "f16") throw new EngineError("no quantized values here");
    return { mean: COSTS[typeK]!, standardError: 0, tokens: 310 };
  };
  const { meter } = meterOf({ measure });
  const within = (bytesMax: number) => chooseCache({ bytesMax, contextLength: CONTEXT }, meter);
  expect(await within(bytesOf("q4_0", "f16"))).toMatchObject({ typeK: "iq4_nl", typeV: "f16" });
  await expect(within(bytesOf("q4_0", "f16") - 1)).rejects.toThrow(ResourceError);
  await expect(within(bytesOf("q4_0", "f16") - 1)).rejects.toThrow("the smallest KV cache (K iq4_nl, V f16)");
});

test("CacheMeter passes on what is no refusal of the engine", async () => {
  const failure = new TypeError("a mistake");
  const { meter } = meterOf({
    measure: () => {
      throw failure;
    },
  });
  await expect(meter.measureHalves()).rejects.toBe(failure);
});

test("CacheMeter measures no values that a model does not keep", async () => {
  const latent = { ...spec, cache: spec.cache.map((layer) => ({ ...layer, valueLength: 0 })) };
  const { meter, measured } = meterOf({ spec: latent });
  await meter.measureHalves();
  expect(measured).toHaveLength(6);
  expect(measured.every((pair) => pair.endsWith("/f16"))).toBe(true);
});

test("chooseCache() measures given types as a pair, and nothing for f16", async () => {
  const { meter, measured } = meterOf();
  const given = { typeK: "q8_0", typeV: "q4_0", contextLength: CONTEXT } as const;
  expect(await chooseCache(given, meter)).toMatchObject({ typeK: "q8_0", typeV: "q4_0", divergence: { mean: 0.093 } });
  expect(measured).toEqual(["q8_0/q4_0"]);
  expect(await chooseCache({ typeK: "f16", typeV: "f16", contextLength: 1 }, meter)).toMatchObject({ typeK: "f16" });
  expect(measured).toHaveLength(1);
});

test("CacheMeter tells how far it is", async () => {
  const stages: string[] = [];
  const { meter } = meterOf({ onProgress: ({ done, total, detail }) => stages.push(`${done} of ${total}: ${detail}`) });
  await meter.measureHalves();
  expect(stages[0]).toBe("0 of 12: K q8_0, V f16");
  expect(stages.at(-1)).toBe("11 of 12: K f16, V iq4_nl");
});

test("chooseCache() without a model takes the sum of halves for a pair that no table has, and wants the halves", async () => {
  const { meter } = meterOf();
  await meter.measureHalves();
  const wish = { bytesMax: bytesOf("q8_0", "q5_1"), contextLength: CONTEXT };
  const unmeasured = { spec, windowTokens: 64 };
  const cache = await chooseCache(wish, new CacheMeter({ ...unmeasured, known: meter.added }));
  expect(cache).toMatchObject({ typeK: "q8_0", typeV: "q5_1", divergence: { tokens: 310, contextLength: 64 } });
  expect(cache.divergence.mean).toBeCloseTo(0.013, 12);
  expect(cache.divergence.standardError).toBeCloseTo(Math.hypot(0.0003, 0.001), 12);
  await expect(chooseCache(wish, new CacheMeter(unmeasured))).rejects.toThrow(UsageError);
  const full = { bytesMax: bytesOf("f16", "f16"), contextLength: CONTEXT };
  expect(await chooseCache(full, new CacheMeter(unmeasured))).toMatchObject({ typeK: "f16", typeV: "f16" });
});

test("chooseCache() without a model takes the sum of halves for types that are given, and wants both halves", async () => {
  const { meter } = meterOf();
  await meter.measureHalves();
  const given = { typeK: "q8_0", typeV: "q5_1", contextLength: CONTEXT } as const;
  const unmeasured = (known: typeof meter.added) => new CacheMeter({ spec, windowTokens: 64, known });
  const cache = await chooseCache(given, unmeasured(meter.added));
  expect(cache).toMatchObject({ typeK: "q8_0", typeV: "q5_1", sizeBytes: bytesOf("q8_0", "q5_1") });
  expect(cache.divergence.mean).toBeCloseTo(0.013, 12);
  const keys = meter.added.filter(({ typeV }) => typeV === "f16");
  const lacking = chooseCache(given, unmeasured(keys));
  await expect(lacking).rejects.toThrow("nothing of a KV cache of K q8_0 and V q5_1, nor of both halves");
  await expect(lacking).rejects.toBeInstanceOf(UsageError);
  expect(await chooseCache({ ...given, typeV: "f16" }, unmeasured(keys))).toMatchObject({
    divergence: { mean: 0.003 },
  });
});

test("chooseCache() without a model asks for no half that a model does not keep", async () => {
  const latent = { ...spec, cache: spec.cache.map((layer) => ({ ...layer, valueLength: 0 })) };
  const { meter } = meterOf({ spec: latent });
  await meter.measureHalves();
  const given = { typeK: "q8_0", typeV: "q8_0", contextLength: CONTEXT } as const;
  const unmeasured = new CacheMeter({ spec: latent, windowTokens: 64, known: meter.added });
  expect(await chooseCache(given, unmeasured)).toMatchObject({ divergence: { mean: 0.003 } });
});
