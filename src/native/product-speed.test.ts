import { expect, test } from "vitest";

import { loadEngine } from "./engine.js";
import { isRearranged, productSecondsPerByte } from "./product-speed.js";

const engine = loadEngine();
const common = { rowLength: 256, threads: 1, weightsBytes: 1e6, repack: true };

test.each(["f32", "f16", "q8_0", "q4_0", "q4_K", "iq4_nl"])(
  "productSecondsPerByte() of %s computes twelve rounds by the clock that it is given",
  (type) => {
    let rounds = 0;
    const clock = (work: () => void): number => {
      work();
      return ++rounds; // the first is the fastest
    };
    const perByte = productSecondsPerByte(engine, { ...common, type, clock });
    expect(rounds).toBe(12);
    expect(1 / perByte).toBeGreaterThan(0.5e6); // a second for about as many bytes as were asked for
    expect(1 / perByte).toBeLessThan(2.1e6);
  },
);

test("productSecondsPerByte() refuses a type that ggml does not know", () => {
  expect(() => productSecondsPerByte(engine, { ...common, type: "q9_9", clock: () => 1 })).toThrow(/q9_9/);
});

test("isRearranged() never says so of plain floats", () => {
  expect(isRearranged(engine, "f32")).toBe(false);
});
