import { expect, test } from "vitest";

import { correlatedHessian } from "../../../../test/rounding-problems.js";
import { PareError } from "../../../errors.js";
import { Random } from "../../../support/random.js";
import { factorize } from "./ldl.js";
import type { LdlFactor } from "./problem.js";
import { RoundingKernel } from "./rounding-kernel.js";

const kernel = RoundingKernel.load();
const factorizers = [
  ["factorize()", factorize],
  [
    "setHessian()",
    (hessian: Float32Array, columns: number) => {
      kernel.setHessian(hessian, columns);
      return kernel.factor;
    },
  ],
] as const;

test.each(factorizers)("%s of two columns, by hand", (_, factorOf) => {
  // D₁ = 4, U₀₁ = 2 / 4, D₀ = 5 − 4 · ½²
  const { columns, upper, diagonal } = factorOf(Float32Array.of(5, 2, 2, 4), 2);
  expect(columns).toBe(2);
  expect([...diagonal]).toEqual([4, 4]);
  expect([...upper]).toEqual([0, 0, 0.5, 0]);
});

test.each(factorizers)("%s gives back H = (I + U) D (I + U)ᵀ", (_, factorOf) => {
  const random = new Random(1);
  for (const columns of [1, 5, 32, 130]) {
    const hessian = correlatedHessian(random, columns, { samples: 40, outlier: columns });
    const rebuilt = product(factorOf(hessian, columns));
    const size = Math.max(...hessian);
    for (let i = 0; i < hessian.length; i++) expect(Math.abs(rebuilt[i]! - hessian[i]!) / size).toBeLessThan(1e-6);
  }
});

test("setHessian() finds the factor that factorize() finds", () => {
  const hessian = correlatedHessian(new Random(2), 200, { samples: 60 }); // of lower rank but for its damping
  const expected = factorize(hessian, 200);
  kernel.setHessian(hessian, 200);
  const { upper, diagonal } = kernel.factor;
  diagonal.forEach((value, j) => expect(Math.abs(value / expected.diagonal[j]! - 1)).toBeLessThan(1e-4));
  upper.forEach((value, i) => expect(Math.abs(value - expected.upper[i]!)).toBeLessThan(1e-4));
});

test.each(factorizers)("%s names the column that a matrix lacks", (_, factorOf) => {
  const hessian = correlatedHessian(new Random(3), 24);
  // Column 7 becomes a copy of column 20, in which the diagonal falls short.
  for (let i = 0; i < 24; i++) hessian[i * 24 + 7] = hessian[i * 24 + 20]!;
  for (let i = 0; i < 24; i++) hessian[7 * 24 + i] = hessian[20 * 24 + i]!;
  hessian[7 * 24 + 7] = 0.9 * hessian[20 * 24 + 20]!;
  expect(() => factorOf(hessian, 24)).toThrow(/^The Hessian is not positive definite: column 7 /);
  expect(() => factorOf(Float32Array.of(1, 0, 0, -1), 2)).toThrow(/column 1 /);
  expect(() => factorOf(new Float32Array(9), 3)).toThrow(PareError);
});

test.each(factorizers)("%s says where a matrix holds what is no finite number", (_, factorOf) => {
  for (const unsound of [Number.NaN, Infinity]) {
    for (const [row, column] of [
      [3, 3],
      [2, 9],
    ] as const) {
      const hessian = correlatedHessian(new Random(4), 12);
      hessian[row * 12 + column] = unsound;
      hessian[column * 12 + row] = unsound;
      expect(() => factorOf(hessian, 12)).toThrow(`The Hessian holds ${unsound} in row ${row}, column ${column}`);
    }
  }
});

test("a kernel whose Hessian was refused takes the next", () => {
  expect(() => kernel.setHessian(new Float32Array(16), 4)).toThrow(PareError);
  kernel.setHessian(Float32Array.of(5, 2, 2, 4), 2);
  expect([...kernel.powers(Float32Array.of(1, 1, 1, -1), 2)]).toEqual([13, 5]);
});

function product({ columns, upper, diagonal }: LdlFactor): Float64Array {
  const element = (i: number, k: number) => (i === k ? 1 : i < k ? upper[k * columns + i]! : 0);
  return Float64Array.from({ length: columns * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = Math.max(i, j); k < columns; k++) sum += element(i, k) * diagonal[k]! * element(j, k);
    return sum;
  });
}
