// Which layers are kept: all choices where they are few, else one after another.
import { expect, test } from "vitest";

import { chooseLayers } from "./cut-layers.js";

/** Layers are worth what their number's place here says, and two that are neighbours help each other. */
const WORTH = [3, 1, 4, 1.5, 5, 9, 2, 6, 5.5, 3.5, 8, 9.5];
const lossOf = (layers: readonly number[]): number =>
  100 - layers.reduce((sum, layer, i) => sum + WORTH[layer]! + (layers[i + 1] === layer + 1 ? 0.4 : 0), 0);

test("chooseLayers() tries every choice where there are 70 at most", () => {
  const { best, tried } = chooseLayers(8, 4, lossOf);
  expect(tried).toHaveLength(70);
  expect(best.loss).toBe(Math.min(...tried.map(({ loss }) => loss)));
  expect(best.layers).toEqual([2, 4, 5, 7]);
});

test("chooseLayers() takes the least missed layer out, again and again, where there are more", () => {
  const { best, tried } = chooseLayers(12, 6, lossOf);
  expect(tried).toHaveLength(12 + 11 + 10 + 9 + 8 + 7);
  expect(best.layers).toEqual([4, 5, 7, 8, 10, 11]);
  expect(best.loss).toBe(lossOf(best.layers));
});

test("chooseLayers() keeps all when all are asked for", () => {
  expect(chooseLayers(3, 3, lossOf).best.layers).toEqual([0, 1, 2]);
});
