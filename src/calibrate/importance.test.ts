import { expect, test } from "vitest";

import { type Importance, importanceEntry, meanSquares, mergeImportance, unseenMatrices } from "./importance.js";

const floats = (...values: number[]) => Float32Array.from(values);

function importance(sums: Float32Array, counts: Float32Array, chunkSize = 512): Importance {
  return {
    entries: new Map([["blk.0.ffn_down.weight", importanceEntry(sums, counts)]]),
    chunkCount: 1,
    chunkSize,
    datasets: ["a.txt"],
  };
}

test("meanSquares() divides in 32-bit floats", () => {
  const means = meanSquares(importanceEntry(floats(1, 2, 10), floats(3)));
  expect([...means]).toEqual([Math.fround(1 / 3), Math.fround(2 / 3), Math.fround(10 / 3)]);
});

test("meanSquares() divides each expert by its own count and gives 1 to one never chosen", () => {
  const means = meanSquares(importanceEntry(floats(2, 4, 9, 9, 3, 6), floats(2, 0, 3)));
  expect([...means]).toEqual([1, 2, 1, 1, 1, 2]);
});

test("importanceEntry() refuses sums that don't divide among the counts", () => {
  expect(() => importanceEntry(floats(1, 2, 3), floats(1, 1))).toThrow(RangeError);
  expect(() => importanceEntry(floats(1), floats())).toThrow(RangeError);
});

test("mergeImportance() of two halves equals the whole", () => {
  const merged = mergeImportance([importance(floats(1, 2), floats(512)), importance(floats(3, 5), floats(1024))]);
  const entry = merged.entries.get("blk.0.ffn_down.weight")!;
  expect([...entry.sums]).toEqual([4, 7]);
  expect([...entry.counts]).toEqual([1536]);
  expect(merged).toMatchObject({ chunkCount: 3, chunkSize: 512, datasets: ["a.txt", "a.txt"] });
});

test("mergeImportance() weighs data counted in chunks by the tokens of a chunk", () => {
  const merged = mergeImportance([importance(floats(8), floats(2), 0), importance(floats(100), floats(256), 256)]);
  const entry = merged.entries.get("blk.0.ffn_down.weight")!;
  expect([entry.sums[0], entry.counts[0]]).toEqual([8 * 256 + 100, 2 * 256 + 256]);
});

test("mergeImportance() lets one count stand for every expert", () => {
  const merged = mergeImportance([
    importance(floats(1, 1, 1, 1), floats(10)),
    importance(floats(1, 1, 1, 1), floats(0, 4)),
  ]);
  expect([...merged.entries.get("blk.0.ffn_down.weight")!.counts]).toEqual([10, 14]);
});

test("mergeImportance() refuses data of another model", () => {
  const parts = [importance(floats(1, 2), floats(1)), importance(floats(1, 2, 3), floats(1))];
  expect(() => mergeImportance(parts)).toThrow('"blk.0.ffn_down.weight" has 3 sums in one and 2 in another');
});

test("unseenMatrices() names the experts that saw nothing", () => {
  expect(unseenMatrices(importance(floats(1, 1, 0, 0), floats(5, 0)))).toEqual([
    { name: "blk.0.ffn_down.weight", unseen: 1, matrices: 2 },
  ]);
});
