import { expect, test } from "vitest";

import { correlatedHessian, diagonalOf, rowLosses, total, trainedRows } from "../../../test/rounding-problems.js";
import { PareError } from "../../errors.js";
import { loadGgml } from "../../native/engine.js";
import { dequantize } from "../../native/ggml.js";
import {
  type RoundedRows,
  type RoundingInput,
  RoundingPool,
  type RoundingTask,
} from "../../passes/quantize/round/rounding-pool.js";
import { Random } from "../../support/random.js";
import { LazyInputs } from "./rounding-input.js";
import { type TensorToRound, roundTensor, sampleErrors } from "./round-tensor.js";

const ggml = loadGgml();
const COLUMNS = 64;

test("roundTensor() rounds each matrix of a stack under its own Hessian, and sums what is lost", async () => {
  const inputs = [1, 2, 3].map(inputOf);
  const tensor = stackOf(inputs, 5);
  const given = tensor.values.slice();
  await using pool = new RoundingPool(2);
  const { bytes, loss, power } = await roundTensor(pool, tensor, "q4_1", "default");
  expect(tensor.values).toEqual(given); // workers get copies
  const values = dequantize(ggml, "q4_1", bytes, given.length);
  const size = 5 * COLUMNS;
  const losses = inputs.map(({ hessian }, matrix) => {
    const part = [given, values, new Float32Array(given.length)].map((all) =>
      all.subarray(matrix * size, (matrix + 1) * size),
    );
    return [part[1]!, part[2]!].map((found) => total(rowLosses(part[0]!, found, hessian, COLUMNS)));
  });
  expect(loss / total(losses.map(([lost]) => lost!))).toBeCloseTo(1, 4);
  expect(power / total(losses.map(([, all]) => all!))).toBeCloseTo(1, 4);
  // Not those of the first matrix for all.
  const first = await roundTensor(pool, { ...tensor, inputs: [inputs[0]!] }, "q4_1", "default");
  expect(first.bytes).not.toEqual(bytes);
});

test("roundTensor() in slabs gives each row its place", async () => {
  const rows = 2 ** 18 / COLUMNS + 7; // one slab and a bit
  const values = trainedRows(new Random(4), rows, COLUMNS);
  await using pool = new RoundingPool(2);
  const tensor = { name: "token_embd.weight", shape: [COLUMNS, rows], values, inputs: [inputOf(1)] };
  const { bytes } = await roundTensor(pool, tensor, "q8_0", "fast");
  const found = dequantize(ggml, "q8_0", bytes, values.length);
  for (const row of [0, 3, rows - 8, rows - 7, rows - 1]) {
    for (let j = row * COLUMNS; j < (row + 1) * COLUMNS; j++)
      expect(Math.abs(found[j]! - values[j]!)).toBeLessThan(0.01);
  }
});

test("roundTensor() makes the inputs of a stack on the way, a few ahead, and to the same bytes", async () => {
  const inputs = Array.from({ length: 24 }, (_, seed) => inputOf(seed));
  const tensor = stackOf(inputs, 4);
  let [made, rounded, aheadMax] = [0, 0, 0];
  await using pool = new (class extends RoundingPool {
    override async round(task: RoundingTask): Promise<RoundedRows> {
      const rows = await super.round(task);
      rounded++;
      return rows;
    }
  })(2);
  const lazy = new LazyInputs(inputs.length, (matrix) => {
    aheadMax = Math.max(aheadMax, ++made - rounded);
    return inputs[matrix]!;
  });
  const { bytes } = await roundTensor(pool, { ...tensor, inputs: lazy }, "q4_0", "fast");
  expect([made, rounded]).toEqual([24, 24]);
  expect(aheadMax).toBeLessThanOrEqual(4);
  expect(bytes).toEqual((await roundTensor(pool, tensor, "q4_0", "fast")).bytes);
});

test("roundTensor() names the tensor whose weights or inputs hold what is no number", async () => {
  await using pool = new RoundingPool(2);
  const tensor = stackOf([inputOf(1)], 5);
  const broken = { ...tensor, values: tensor.values.slice() };
  broken.values[2 * COLUMNS + 9] = Number.NaN;
  const failure = roundTensor(pool, broken, "q4_0", "default");
  await expect(failure).rejects.toThrow('Cannot round "blk.0.ffn_up.weight" to q4_0: A weight of column 9 is NaN');
  await expect(failure).rejects.toBeInstanceOf(PareError);
  const input = inputOf(2);
  input.hessian[3 * COLUMNS + 5] = Number.NaN;
  const unsound = { ...tensor, inputs: [input] };
  const message = 'Cannot round "blk.0.ffn_up.weight" to q4_0: The Hessian holds NaN in row 3, column 5';
  await expect(roundTensor(pool, unsound, "q4_0", "default")).rejects.toMatchObject({
    message,
    hint: expect.any(String),
  });
  await expect(sampleErrors(pool, unsound, ["q4_0", "q4_1"], 4, "default")).rejects.toThrow(
    'Cannot round "blk.0.ffn_up.weight" to q4_0 or q4_1: The Hessian holds NaN',
  );
  expect((await roundTensor(pool, tensor, "q4_0", "default")).loss).toBeGreaterThan(0); // the pool still works
});

test("sampleErrors() of all rows is the relative error that roundTensor() leaves", async () => {
  await using pool = new RoundingPool(2);
  const tensor = stackOf([inputOf(1), inputOf(2)], 6);
  const errors = await sampleErrors(pool, tensor, ["q4_0", "q8_0"], 12, "default");
  expect([...errors.keys()]).toEqual(["q4_0", "q8_0"]);
  for (const type of ["q4_0", "q8_0"] as const) {
    const { loss, power } = await roundTensor(pool, tensor, type, "default");
    expect(errors.get(type)! / (loss / power)).toBeCloseTo(1, 6);
  }
  expect(errors.get("q8_0")!).toBeLessThan(errors.get("q4_0")! / 50);
});

test("sampleErrors() of some rows is near that of all, and no error where there is nothing to lose", async () => {
  await using pool = new RoundingPool(2);
  const tensor = stackOf([inputOf(1)], 256);
  const [all, some] = await Promise.all([256, 16].map((rows) => sampleErrors(pool, tensor, ["q4_0"], rows, "default")));
  expect(some!.get("q4_0")! / all!.get("q4_0")!).toBeGreaterThan(0.7);
  expect(some!.get("q4_0")! / all!.get("q4_0")!).toBeLessThan(1.4);
  const nothing = { ...tensor, values: new Float32Array(tensor.values.length) };
  expect([...(await sampleErrors(pool, nothing, ["q4_0"], 16, "default")).values()]).toEqual([0]);
});

function inputOf(seed: number): RoundingInput {
  const hessian = correlatedHessian(new Random(seed), COLUMNS);
  return { key: `input ${seed}`, columns: COLUMNS, hessian, importance: diagonalOf(hessian, COLUMNS) };
}

function stackOf(inputs: RoundingInput[], rows: number): TensorToRound {
  const values = trainedRows(new Random(3), rows * inputs.length, COLUMNS);
  return { name: "blk.0.ffn_up.weight", shape: [COLUMNS, rows, inputs.length], values, inputs };
}
