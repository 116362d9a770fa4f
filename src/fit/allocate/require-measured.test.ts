import { expect, test } from "vitest";

import { PareError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { MIX_TYPES } from "./candidate-types.js";
import type { Measurements } from "./measurement-schema.js";
import { requireMeasured } from "./require-measured.js";

const shape = [256, 256];
const matrices = Array.from({ length: 12 }, (_, i) => `blk.${i}.ffn_up.weight`);
const tensorsOf = (type: GgmlType) => [
  { name: "output_norm.weight", shape: [256], type: "f32" as const },
  ...matrices.map((name) => ({ name, shape, type })),
];
const tableOf = (names: readonly string[]): Pick<Measurements, "tensors"> => ({
  tensors: Object.fromEntries(names.map((name) => [name, { type: "f16", shape, types: {} }])),
});
const open = { types: MIX_TYPES, pinned: new Map<string, unknown>() };

test("requireMeasured() takes a table of all tensors that have a choice", () => {
  expect(() => requireMeasured("t.json", tableOf(matrices), tensorsOf("f16"), open)).not.toThrow();
  expect(() => requireMeasured("t.json", tableOf([]), tensorsOf("iq2_xxs"), open)).not.toThrow(); // nothing is smaller
});

test("requireMeasured() names the tensors that a table lacks, the first of many, and none that is pinned", () => {
  const check = (names: readonly string[], pinned: ReadonlyMap<string, unknown> = open.pinned) =>
    requireMeasured("t.json", tableOf(names), tensorsOf("f16"), { ...open, pinned });
  const lacking = matrices.slice(2);
  expect(() => check(lacking)).toThrow(PareError);
  expect(() => check(lacking)).toThrow(
    /^Measurements "t\.json" say nothing of "blk\.0\.ffn_up\.weight", "blk\.1\.ffn_up\.weight"$/,
  );
  expect(() => check(lacking, new Map([[matrices[0]!, "q8_0"]]))).toThrow(/nothing of "blk\.1\.ffn_up\.weight"$/);
  expect(() => check(lacking, new Map(matrices.slice(0, 2).map((name) => [name, "q8_0"])))).not.toThrow();
  expect(() => check([])).toThrow(/"blk\.7\.ffn_up\.weight" and 4 more tensors$/);
});
