import { expect, test } from "vitest";

import { ResourceError } from "../errors.js";
import type { DistinctInput } from "./distinct-inputs.js";
import { batchTokensMax, cutIntoGroups, productRows, statisticsBytes, sumsBudget } from "./statistics-memory.js";

function input(layer: number | undefined, part: string, columns: number, matrices = 1): DistinctInput {
  const name = layer === undefined ? "output.weight" : `blk.${layer}.${part}.weight`;
  const isRouted = matrices > 1;
  return { name, weights: [name], layer, columns, matrices, isRouted, valuesPerToken: columns, node: undefined };
}

const model = (layers: number): DistinctInput[] => [
  ...Array.from({ length: layers }, (_, layer) => [input(layer, "attn_q", 100), input(layer, "ffn_down", 300)]).flat(),
  input(undefined, "", 100),
];
const alone = { isPaired: false, contextLength: 512 };
const paired = { isPaired: true, contextLength: 512 };

test("statisticsBytes() counts one square per input, two and the kept batch with a candidate", () => {
  expect(statisticsBytes([input(0, "attn_q", 100)], alone)).toMatchObject({ sumsBytes: 4 * 100 ** 2, keptBytes: 0 });
  expect(statisticsBytes([input(0, "attn_q", 100)], paired)).toMatchObject({
    sumsBytes: 2 * 4 * 100 ** 2,
    keptBytes: 2048 * 400,
  });
  expect(statisticsBytes([input(0, "ffn_up_exps", 100, 8)], alone).sumsBytes).toBe(8 * 4 * 100 ** 2);
});

test("batchTokensMax() shortens batches of which much is kept", () => {
  expect(batchTokensMax(model(2), { isPaired: false })).toBeUndefined();
  expect(batchTokensMax([input(0, "attn_q", 2 ** 14), input(0, "ffn_down", 2 ** 14)], paired)).toBe(384);
});

test("productRows() are a multiple of 32 and bounded", () => {
  expect([productRows(2048), productRows(600), productRows(32)]).toEqual([1024, 608, 32]);
});

test("cutIntoGroups() makes groups of whole layers below the bound, however many layers there are", () => {
  for (const layers of [4, 40]) {
    const inputs = model(layers);
    const bytesMax = statisticsBytes(inputs.slice(0, 4), paired).totalBytes;
    const groups = cutIntoGroups(inputs, bytesMax, paired);
    expect(groups.flat()).toEqual(inputs);
    expect(groups.length).toBe(layers / 2 + 1);
    for (const group of groups) expect(statisticsBytes(group, paired).totalBytes).toBeLessThanOrEqual(bytesMax);
  }
});

test("cutIntoGroups() cuts a layer that does not fit between its inputs, and refuses an input that does not", () => {
  const bytesMax = statisticsBytes([input(0, "ffn_down", 300)], paired).totalBytes;
  const groups = cutIntoGroups(model(1), bytesMax, paired);
  expect(groups.map((group) => group.map(({ name }) => name))).toEqual([
    ["blk.0.attn_q.weight"],
    ["blk.0.ffn_down.weight"],
    ["output.weight"],
  ]);
  expect(() => cutIntoGroups(model(1), bytesMax - 1, paired)).toThrow(ResourceError);
  expect(() => cutIntoGroups(model(1), bytesMax - 1, paired)).toThrow('enters "blk.0.ffn_down.weight": its sums take');
});

test("sumsBudget() follows the width of the layers, not their number, and memory, but has room for each input", () => {
  const free = 2 ** 40;
  const budget = sumsBudget(model(4), paired, 1000, free);
  expect(sumsBudget(model(40), paired, 1000, free)).toBe(budget);
  expect(cutIntoGroups(model(40), budget, paired).length).toBeLessThanOrEqual(11);
  expect(sumsBudget(model(4), paired, 2 ** 30, free)).toBe(2 ** 30);
  const scarce = sumsBudget(model(4), paired, 1000, 1000);
  expect(scarce).toBe(statisticsBytes([input(0, "ffn_down", 300)], paired).totalBytes);
  expect(() => cutIntoGroups(model(4), scarce, paired)).not.toThrow();
});
