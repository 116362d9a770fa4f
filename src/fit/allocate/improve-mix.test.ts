import { expect, test } from "vitest";

import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { Random } from "../../support/random.js";
import { type TensorOptions, chooseTypes } from "./choose-types.js";
import { type TensorTypes, improveMix } from "./improve-mix.js";

const LAYERS = 8;
const WINDOWS = 4;
const types = ["q3_K", "q4_K", "q6_K"] as const;
const bits: Partial<Record<GgmlType, number>> = { q3_K: 3.5, q4_K: 4.5, q6_K: 6.5 };

const tensors = Array.from({ length: LAYERS }, (_, layer): TensorOptions => {
  const options = types.map((type) => ({
    type,
    bytes: 128 * bits[type]!,
    loss: 4 ** -bits[type]! * (layer === 0 ? 0.9 : 1),
  }));
  return { name: `blk.${layer}.attn_q.weight`, options };
});
const problem = { tensors, budgetBytes: 128 * 4.8 * LAYERS };
const chosen = chooseTypes(problem);

/** Layer 0, which is predicted to matter least, suffers eight times as much. */
function truth(mix: TensorTypes): number {
  return tensors.reduce((total, { name, options }, layer) => {
    const { loss } = options.find(({ type }) => type === mix.get(name))!;
    return total + loss * (layer === 0 ? 8 : 1);
  }, 0);
}

/** Windows that differ among themselves, not in how mixes compare. */
async function measure(mix: TensorTypes, windows: number): Promise<Float64Array> {
  return Float64Array.from({ length: windows }, (_, window) => truth(mix) * (1 + window / 10));
}

const request = { problem, types: chosen.types, measure, budgets: [1, WINDOWS], trialsMax: 100 };

test("improveMix() finds what predictions did not know, within the budget", async () => {
  const { types: better, taken } = await improveMix(request);
  expect(taken).toBeGreaterThan(0);
  expect(truth(better)).toBeLessThan(truth(chosen.types));
  expect(bits[better.get("blk.0.attn_q.weight")!]).toBeGreaterThan(bits[chosen.types.get("blk.0.attn_q.weight")!]!);
  const bytes = [...better.values()].reduce((total, type) => total + 128 * bits[type]!, 0);
  expect(bytes).toBeLessThanOrEqual(problem.budgetBytes);
});

test.each([
  ["alike", [1, 1, 1, 1], 0],
  ["better on average, but not beyond chance", [0.9, 1.05, 0.9, 1.05], 0],
  ["better beyond the chance of one, not of all that are tried", [0.9, 0.96, 0.9, 0.96], 0],
  ["better beyond chance", [0.9, 0.901, 0.9, 0.901], 1],
])("improveMix() takes a neighbour that is better beyond chance alone: %s", async (_, others, taken) => {
  const compared = async (mix: TensorTypes, windows: number) =>
    Float64Array.from({ length: windows }, (__, window) => (mix === chosen.types ? 1 : others[window]!));
  expect((await improveMix({ ...request, measure: compared })).taken).toBe(taken);
});

test("improveMix() is rarely led astray by chance", async () => {
  const random = new Random(3);
  const noise = async (_: TensorTypes, windows: number) =>
    Float64Array.from({ length: windows }, () => random.normal());
  let misled = 0;
  for (let run = 0; run < 200; run++) {
    const { taken } = await improveMix({ ...request, measure: noise, budgets: [8], trialsMax: 16 });
    if (taken > 0) misled++;
  }
  expect(misled).toBeLessThanOrEqual(10 + 3 * Math.sqrt(200 * 0.05 * 0.95)); // 5 %, and three standard errors
});

test("improveMix() measures nothing where windows are too few to tell, or nothing may be tried", async () => {
  const never = () => Promise.reject(new Error("measured"));
  for (const less of [{ budgets: [1, 3] }, { trialsMax: 0 }]) {
    expect(await improveMix({ ...request, ...less, measure: never })).toEqual({
      types: chosen.types,
      tried: 0,
      taken: 0,
    });
  }
});

test("improveMix() tries no more mixes than it may, each once, and those that look worse on few windows on no more", async () => {
  const asked: string[] = [];
  const worse = async (mix: TensorTypes, windows: number) => {
    asked.push(`${[...mix].join()} ${windows}`);
    return new Float64Array(windows).fill(mix === chosen.types ? 1 : 2);
  };
  const tried: number[] = [];
  expect((await improveMix({ ...request, measure: worse, trialsMax: 3 })).tried).toBe(3);
  asked.length = 0;
  const improved = await improveMix({ ...request, measure: worse, trialsMax: 3, onTrial: (n) => tried.push(n) });
  expect(improved).toEqual({ types: chosen.types, tried: 3, taken: 0 });
  expect(tried).toEqual([1, 2, 3]);
  expect(new Set(asked).size).toBe(asked.length);
  expect(asked.map((one) => one.at(-1))).toEqual([`${WINDOWS}`, "1", "1", "1"]);
});
