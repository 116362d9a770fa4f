import { expect, test } from "vitest";

import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { loadEngine } from "../../native/engine.js";
import { dequantize, quantizeRows } from "../../native/ggml.js";
import { Random } from "../../support/random.js";
import { MIX_TYPES } from "./candidate-types.js";
import { NOMINAL_ERRORS, completeErrors } from "./layer-error.js";

// Of the codebook types one stands for all: each takes seconds to set its tables up.
const TYPES = MIX_TYPES.filter((type) => !/^iq[23]/.test(type) || type === "iq3_s");

test("NOMINAL_ERRORS are what ggml's encoders leave of normal weights", () => {
  const engine = loadEngine();
  const columns = 2048;
  const random = new Random(0);
  const weights = Float32Array.from({ length: 2 * columns }, () => random.normal());
  const importance = new Float32Array(columns).fill(1);
  for (const type of TYPES) {
    const nominal = NOMINAL_ERRORS[type]!;
    const decoded = dequantize(engine, type, quantizeRows(engine, type, weights, columns, importance), weights.length);
    const [left, whole] = [decoded.map((value, i) => (value - weights[i]!) ** 2), weights.map((value) => value ** 2)];
    const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);
    expect(sum(left) / sum(whole) / nominal, type).toBeGreaterThan(0.85);
    expect(sum(left) / sum(whole) / nominal, type).toBeLessThan(1.15);
  }
});

test("completeErrors() keeps measured errors and bends the nominal ones to them", () => {
  const measured = new Map<GgmlType, number>([
    ["q4_K", 2 * NOMINAL_ERRORS.q4_K!],
    ["q8_0", 4 * NOMINAL_ERRORS.q8_0!],
  ]);
  const errors = completeErrors(measured, ["q2_K", "q4_K", "q5_K", "q8_0", "f16"]);
  expect(errors.get("q4_K")).toBe(measured.get("q4_K"));
  expect(errors.get("q2_K")).toBeCloseTo(2 * NOMINAL_ERRORS.q2_K!, 10); // beyond: in proportion
  expect(errors.get("f16")).toBeCloseTo(4 * NOMINAL_ERRORS.f16!, 12);
  const ratio = errors.get("q5_K")! / NOMINAL_ERRORS.q5_K!; // between: between
  expect(ratio).toBeGreaterThan(2);
  expect(ratio).toBeLessThan(4);
});

test("completeErrors() falls back on the nominal errors, and refuses what holds no weights", () => {
  expect(completeErrors(new Map(), ["q4_0"]).get("q4_0")).toBeCloseTo(NOMINAL_ERRORS.q4_0!, 12);
  expect(completeErrors(new Map([["f16", 0]]), ["f16"]).get("f16")).toBe(0);
  expect(() => completeErrors(new Map(), ["q8_K"])).toThrow("Weights are not stored as q8_K");
});
