import { expect, test } from "vitest";

import { ResourceError } from "../errors.js";
import { loadEngine } from "../native/engine.js";
import { liveHandles } from "../native/handle.js";
import { CpuBackend } from "../native/matmul.js";
import { Random } from "../support/random.js";
import { HessianSums, hessianBytes, requireHessianMemory } from "./hessian-sums.js";
import type { InputGroup } from "./input-collector.js";

function group(columns: number, matrices = 1): InputGroup {
  const isRouted = matrices > 1;
  return {
    name: `blk.0.test_${columns}.weight`,
    weights: new Set([`blk.0.test_${columns}.weight`]),
    columns,
    matrices,
    isRouted,
    node: "",
    elements: 0,
    sums: new Float64Array(columns * matrices),
    counts: new Float64Array(isRouted ? matrices : 1),
  };
}

/** Σ x xᵀ by the definition. */
function definition(values: Float32Array, offsets: Int32Array, columns: number): number[] {
  return Array.from({ length: columns ** 2 }, (_, at) => {
    const [i, j] = [at % columns, Math.floor(at / columns)];
    return [...offsets].reduce((total, offset) => total + values[offset + i]! * values[offset + j]!, 0);
  });
}

test.each([
  ["fewer rows than one product takes", 5, 1],
  ["more rows than one product takes", 40, 1],
  ["routed rows", 150, 3],
])("HessianSums adds up x xᵀ of %s", (_, rows, matrices) => {
  const [columns, random, input] = [12, new Random(rows), group(12, matrices)];
  const values = Float32Array.from({ length: rows * columns }, () => random.normal());
  const offsets = Int32Array.from({ length: rows }, (__, row) => row * columns);
  const matrix = matrices - 1;
  using backend = CpuBackend.create(loadEngine(), 1);
  using sums = new HessianSums(backend, 16);
  sums.add({ group: input, matrix, values, offsets });
  sums.add({ group: input, matrix, values, offsets: offsets.subarray(0, 3) });
  const wanted = definition(values, Int32Array.of(...offsets, ...offsets.subarray(0, 3)), columns);
  const found = sums.matrixOf(input)!;
  expect(found).toHaveLength(columns ** 2 * matrices);
  wanted.forEach((value, i) => expect(found[matrix * columns ** 2 + i]).toBeCloseTo(value, 4));
  expect(found.subarray(0, matrix * columns ** 2).every((value) => value === 0)).toBe(true);
});

test("HessianSums of bf16 products are as near as 8 bits of each value allow", () => {
  const [columns, rows, random, input] = [300, 64, new Random(5), group(300)];
  const values = Float32Array.from({ length: rows * columns }, () => random.normal());
  const offsets = Int32Array.from({ length: rows }, (__, row) => row * columns);
  using backend = CpuBackend.create(loadEngine(), 1);
  using sums = new HessianSums(backend, 48, { precision: "bf16" });
  sums.add({ group: input, matrix: 0, values, offsets });
  const found = sums.matrixOf(input)!;
  const wanted = definition(values, offsets, columns);
  // Both factors of a product are off by half a step of 2⁻⁸ at most, so the sum by 2⁻⁸ of the factors' norms.
  const norms = Float64Array.from({ length: columns }, (__, i) => Math.sqrt(wanted[i * (columns + 1)]!));
  const worst = wanted.map((value, at) => {
    return Math.abs(found[at]! - value) / (norms[at % columns]! * norms[Math.floor(at / columns)]!);
  });
  expect(Math.max(...worst)).toBeLessThan(2 ** -8);
  expect(Math.max(...worst)).toBeGreaterThan(0);
});

test("HessianSums keeps layers of the same width apart", () => {
  const [left, right] = [group(4), { ...group(4), name: "blk.1.test_4.weight" }];
  const values = Float32Array.of(1, 0, 0, 0, 0, 2, 0, 0);
  using backend = CpuBackend.create(loadEngine(), 1);
  using sums = new HessianSums(backend, 2);
  sums.add({ group: left, matrix: 0, values, offsets: Int32Array.of(0) });
  sums.add({ group: right, matrix: 0, values, offsets: Int32Array.of(4) });
  expect([sums.matrixOf(left)![0], sums.matrixOf(left)![5]]).toEqual([1, 0]);
  expect([sums.matrixOf(right)![0], sums.matrixOf(right)![5]]).toEqual([0, 4]);
});

test("HessianSums frees its native memory", () => {
  const before = liveHandles();
  {
    using backend = CpuBackend.create(loadEngine(), 1);
    using sums = new HessianSums(backend, 16);
    sums.add({ group: group(8), matrix: 0, values: new Float32Array(8), offsets: Int32Array.of(0) });
    expect(liveHandles()).toBeGreaterThan(before);
  }
  expect(liveHandles()).toBe(before);
});

test("hessianBytes() counts a square per matrix and one workspace per width", () => {
  const dense = [group(100), group(100), group(300)];
  expect(hessianBytes(dense, 16).sumsBytes).toBe(4 * (100 ** 2 + 100 ** 2 + 300 ** 2));
  expect(hessianBytes(dense, 16).workBytes).toBe(4 * (100 * (100 + 2 * 16) + 300 * (256 + 2 * 16)));
  expect(hessianBytes([group(100, 8)], 16).sumsBytes).toBe(4 * 8 * 100 ** 2);
});

test("requireHessianMemory() refuses with both numbers", () => {
  const layers = Array.from({ length: 32 }, () => group(11_008));
  expect(() => requireHessianMemory(layers, 512, 8e9)).toThrow(ResourceError);
  expect(() => requireHessianMemory(layers, 512, 8e9)).toThrow("they take 15.6 GB and 8.00 GB of memory is free");
  requireHessianMemory(layers, 512, 20e9);
});
