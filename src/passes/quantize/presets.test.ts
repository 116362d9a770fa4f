import { expect, test } from "vitest";

import { PRESETS, parsePreset, parseWeightType } from "./presets.js";

test.each([
  ["Q4_K_M", "q4_K_M", 15],
  ["q4_k", "q4_K_M", 15],
  ["Q3_K", "q3_K_M", 12],
  ["5_k", undefined, undefined],
  ["IQ4_NL", "iq4_nl", 25],
  ["15", "q4_K_M", 15],
  ["mxfp4", "mxfp4", 38],
  ["MXFP4_MOE", "mxfp4_moe", 38],
  ["copy", "copy", undefined],
])("parsePreset() reads %s in either case, short or as a number", (text, name, fileType) => {
  if (name === undefined) expect(() => parsePreset(text)).toThrow("is no quantization type; choose one of f32, f16");
  else expect(parsePreset(text)).toMatchObject({ name, fileType });
});

test("parsePreset() says of a type for activations that weights can't have it", () => {
  expect(() => parsePreset("Q8_1")).toThrow("Weights can't be stored as q8_1");
});

test("parseWeightType() refuses what ggml can't write", () => {
  expect(parseWeightType("Q6_K")).toBe("q6_K");
  expect(() => parseWeightType("i32")).toThrow("Weights can't be stored as i32");
});

test("PRESETS have names and file types of their own", () => {
  expect(new Set(PRESETS.map(({ name }) => name.toLowerCase())).size).toBe(PRESETS.length);
  expect(new Set(PRESETS.map(({ fileType }) => fileType)).size).toBe(PRESETS.length);
});
