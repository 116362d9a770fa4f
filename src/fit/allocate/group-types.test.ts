import { expect, test } from "vitest";

import { groupTypes } from "./group-types.js";

const mix = [
  { name: "output.weight", type: "q6_K" },
  { name: "blk.0.attn_v.weight", type: "q6_K" },
  { name: "blk.1.attn_v.weight", type: "q5_K" },
  { name: "blk.10.attn_v.weight", type: "q6_K" },
  { name: "blk.0.ffn_up.weight", type: "q4_K" },
  { name: "blk.1.ffn_up.weight", type: "q4_K" },
  { name: "blk.01.odd(name.weight", type: "q8_0" },
] as const;

test("groupTypes() has a line for each kind and type", () => {
  expect(groupTypes(mix)).toEqual([
    { pattern: String.raw`^output\.weight$`, type: "q6_K" },
    { pattern: String.raw`^blk\.01\.odd\(name\.weight$`, type: "q8_0" },
    { pattern: String.raw`^blk\.(0|10)\.attn_v\.weight$`, type: "q6_K" },
    { pattern: String.raw`^blk\.1\.attn_v\.weight$`, type: "q5_K" },
    { pattern: String.raw`^blk\.\d+\.ffn_up\.weight$`, type: "q4_K" },
  ]);
});

test("groupTypes() gives each name its type, by one pattern alone", () => {
  const patterns = groupTypes(mix).map(({ pattern, type }) => ({ pattern: new RegExp(pattern), type }));
  for (const { name, type } of mix) {
    expect(patterns.filter(({ pattern }) => pattern.test(name)).map((found) => found.type)).toEqual([type]);
  }
  for (const name of ["blk.2.attn_v.weight", "xblk.0.attn_v.weight", "outputXweight", "blk.0.attn_v.weight2"]) {
    expect(patterns.filter(({ pattern }) => pattern.test(name))).toEqual([]);
  }
});
