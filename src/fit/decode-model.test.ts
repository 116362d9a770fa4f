import { expect, test } from "vitest";

import { LLAMA, metadataOf, tensorsOf } from "../../test/model-shapes.js";
import type { Model } from "../model/model.js";
import { modelSpec } from "../model/spec.js";
import { decodeWork, fitDecodeModel, predictDecode, productKey, productsOf } from "./decode-model.js";

const factors = { products: 1.2, layer: 2e-5, token: 1e-4 };
const works = [
  { productSeconds: 1e-4, layers: 5 },
  { productSeconds: 1e-3, layers: 6 },
  { productSeconds: 2e-3, layers: 30 },
  { productSeconds: 9e-3, layers: 12 },
  { productSeconds: 5e-4, layers: 24 },
  { productSeconds: 3e-3, layers: 16 },
];
const exact = { factors, measurements: 0, errorShares: [], medianErrorShare: null };
const measured = works.map((work) => ({ ...work, decodeTokensPerSecond: predictDecode(work, exact) }));

test("fitDecodeModel() recovers the factors that made the measurements", () => {
  const fitted = fitDecodeModel(measured);
  expect(fitted.factors.products).toBeCloseTo(factors.products, 6);
  expect(fitted.factors.layer).toBeCloseTo(factors.layer, 9);
  expect(fitted.factors.token).toBeCloseTo(factors.token, 9);
  expect(Math.max(...fitted.errorShares)).toBeLessThan(1e-6);
});

test("fitDecodeModel() reports the error on a measurement that it has not seen", () => {
  const odd = { ...works[1]!, decodeTokensPerSecond: 2 * measured[1]!.decodeTokensPerSecond };
  const shares = fitDecodeModel([...measured.slice(0, 1), odd, ...measured.slice(2)]).errorShares;
  expect(shares[1]).toBeCloseTo(0.5, 6);
});

test("fitDecodeModel() with one measurement takes it all for products and claims no error", () => {
  const fitted = fitDecodeModel([{ productSeconds: 0.01, layers: 10, decodeTokensPerSecond: 50 }]);
  expect(predictDecode({ productSeconds: 0.02, layers: 10 }, fitted)).toBeCloseTo(25, 9);
  expect(fitted.medianErrorShare).toBeNull();
});

test("fitDecodeModel() never fits a factor below zero", () => {
  const fitted = fitDecodeModel([
    { productSeconds: 0.01, layers: 10, decodeTokensPerSecond: 40 },
    { productSeconds: 0.02, layers: 10, decodeTokensPerSecond: 10 },
    { productSeconds: 0.03, layers: 30, decodeTokensPerSecond: 12 },
  ]);
  expect(Object.values(fitted.factors).every((factor) => factor >= 0)).toBe(true);
  expect(predictDecode({ productSeconds: 0.02, layers: 10 }, fitted)).toBeGreaterThan(5);
});

test("fitDecodeModel() refuses nothing and nonsense", () => {
  expect(() => fitDecodeModel([])).toThrow(RangeError);
  expect(() => fitDecodeModel([{ productSeconds: 1, layers: 1, decodeTokensPerSecond: 0 }])).toThrow(RangeError);
});

test("productsOf() counts what a token multiplies: no look-up, no norm, of experts those in use", () => {
  const shapes = {
    "token_embd.weight": [64, 100],
    "output.weight": [64, 100],
    "output_norm.weight": [64],
    "blk.0.attn_q.weight": [64, 64],
    "blk.0.ffn_up_exps.weight": [64, 32, 8],
  };
  const tensors = tensorsOf(shapes);
  const spec = modelSpec(metadataOf("llama", { ...LLAMA, expert_count: 8, expert_used_count: 2 }), tensors);
  const [kind, ...others] = productsOf({ spec, tensors: tensors as unknown as Model["tensors"] });
  expect(others).toEqual([]);
  expect(kind).toMatchObject({ type: "f16", rowLength: 64, bytes: 2 * (6400 + 4096 + 4096) });
});

test("decodeWork() adds up seconds, and is unknown where one product is", () => {
  const tensors = tensorsOf({ "blk.0.attn_q.weight": [64, 64] });
  const model = {
    spec: modelSpec(metadataOf("llama", LLAMA), tensors),
    tensors: tensors as unknown as Model["tensors"],
  };
  const key = productKey(productsOf(model)[0]!);
  expect(decodeWork(model, new Map([[key, 1e-9]]))!.productSeconds).toBeCloseTo(8192e-9, 15);
  expect(decodeWork(model, new Map())).toBeUndefined();
});
