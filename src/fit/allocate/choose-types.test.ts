import { expect, test } from "vitest";

import { type TensorOptions, UnreachableSizeError, chooseTypes, smallestBytes } from "./choose-types.js";
import { chooseFastTypes } from "./choose-fast-types.js";
import { sameInputLinks } from "./link-tensors.js";

// A worked example: two tensors of 1024 weights, the second four times as sensitive, and a header of 96 bytes.
//   q4_0: 576 bytes   q5_0: 704   q8_0: 1088
const OPTIONS = (sensitivity: number) =>
  [
    { type: "q4_0", bytes: 576, loss: 6e-3 * sensitivity, cost: 576 },
    { type: "q5_0", bytes: 704, loss: 1.5e-3 * sensitivity, cost: 2 * 704 }, // slow
    { type: "q8_0", bytes: 1088, loss: 3e-5 * sensitivity, cost: 1088 },
  ] as const;
const EXAMPLE: TensorOptions[] = [
  { name: "blk.0.attn_q.weight", options: OPTIONS(1) },
  { name: "blk.0.attn_v.weight", options: OPTIONS(4) },
];
const chosen = (budgetBytes: number, more: object = {}) => {
  const choice = chooseTypes({ tensors: EXAMPLE, budgetBytes, fixedBytes: 96, ...more });
  return [...EXAMPLE.map(({ name }) => choice.types.get(name)), choice.bytes];
};

test("chooseTypes() spends bytes where they save the most loss", () => {
  expect(chosen(96 + 576 + 576)).toEqual(["q4_0", "q4_0", 1248]);
  expect(chosen(96 + 576 + 704 + 127)).toEqual(["q4_0", "q5_0", 1376]);
  expect(chosen(96 + 704 + 704)).toEqual(["q5_0", "q5_0", 1504]);
  expect(chosen(96 + 704 + 1088)).toEqual(["q5_0", "q8_0", 1888]);
  expect(chosen(1e9)).toEqual(["q8_0", "q8_0", 2272]);
});

test("chooseTypes() counts its totals, and no choice is below its bound", () => {
  const choice = chooseTypes({ tensors: EXAMPLE, budgetBytes: 1500, fixedBytes: 96 });
  expect(choice.loss).toBeCloseTo(6e-3 + 4 * 1.5e-3, 12);
  expect(choice.cost).toBe(576 + 2 * 704);
  expect(choice.objective).toBeCloseTo(choice.loss, 12);
  expect(choice.objectiveBound).toBeLessThanOrEqual(choice.objective);
  expect(choice.objectiveBound).toBeGreaterThan(0);
});

test("chooseTypes() refuses a size that no mix reaches, with the smallest that one does", () => {
  expect(smallestBytes({ tensors: EXAMPLE, fixedBytes: 96 })).toBe(1248);
  const refusal = () => chosen(1247);
  expect(refusal).toThrow(UnreachableSizeError);
  expect(refusal).toThrow("Cannot reach 1.25 kB (1,247 bytes): the smallest mix of types takes 1.25 kB (1,248 bytes)");
  expect(refusal).toThrow(expect.objectContaining({ smallestBytes: 1248, exitCode: 2 }));
});

test("chooseTypes() gives linked tensors one type, which all of them have", () => {
  const links = [["blk.0.attn_q.weight", "blk.0.attn_v.weight"]];
  expect(chosen(96 + 576 + 1088, { links })).toEqual(["q5_0", "q5_0", 1504]);
  const pinned = [EXAMPLE[0]!, { name: "blk.0.attn_v.weight", options: [OPTIONS(4)[2]] }];
  expect(chosen(1e9, { tensors: pinned, links })).toEqual(["q8_0", "q8_0", 2272]);
  const apart = [{ name: "blk.0.attn_q.weight", options: [OPTIONS(1)[0]] }, pinned[1]!];
  expect(() => chosen(1e9, { tensors: apart, links })).toThrow("No type is open to each of");
  expect(() => chosen(1e9, { links: [["output.weight"]] })).toThrow('Tensor "output.weight" is linked twice');
});

test("sameInputLinks() links what reads one input, layer by layer", () => {
  const names = ["attn_q", "attn_k", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "ffn_up_exps", "ffn_gate_exps"];
  const layers = [0, 1].flatMap((layer) => names.map((name) => `blk.${layer}.${name}.weight`));
  expect(sameInputLinks(["output.weight", ...layers])).toEqual(
    [0, 1].flatMap((layer) => [
      [`blk.${layer}.attn_q.weight`, `blk.${layer}.attn_k.weight`],
      [`blk.${layer}.ffn_gate.weight`, `blk.${layer}.ffn_up.weight`],
      [`blk.${layer}.ffn_up_exps.weight`, `blk.${layer}.ffn_gate_exps.weight`],
    ]),
  );
});

test("chooseTypes() names the tensor whose numbers are none", () => {
  const broken = (option: object) => () =>
    chooseTypes({
      tensors: [{ name: "output.weight", options: [{ type: "q4_0", bytes: 18, loss: 0, ...option }] }],
      budgetBytes: 100,
    });
  expect(broken({ loss: NaN })).toThrow('Tensor "output.weight" as q4_0 has 18 bytes, loss NaN');
  expect(broken({ bytes: 1.5 })).toThrow(RangeError);
  expect(broken({ cost: Infinity })).toThrow(RangeError);
  expect(() => chooseTypes({ tensors: [{ name: "a", options: [] }], budgetBytes: 1 })).toThrow("no type to choose");
});

test("chooseFastTypes() lets slow types earn their time", () => {
  const request = { tensors: EXAMPLE, budgetBytes: 96 + 704 + 1088, fixedBytes: 96 };
  const [calm, fast] = [chooseTypes(request), chooseFastTypes(request)];
  expect([...calm.types.values()]).toEqual(["q5_0", "q8_0"]);
  expect([...fast.types.values()]).toEqual(["q4_0", "q8_0"]);
  expect(fast.bytes).toBeLessThanOrEqual(request.budgetBytes);
  expect([...chooseFastTypes(request, 0).types.values()]).toEqual(["q5_0", "q8_0"]);
});
