import { afterAll, beforeAll, expect, test } from "vitest";

import { writeBareModel } from "../../test/bare-model.js";
import { temporaryFolder } from "../../test/command.js";
import type { Model } from "../model/model.js";
import { openModel } from "../model/open.js";
import { UnreachableSizeError } from "./allocate/choose-types.js";
import { evenMeasurements } from "./allocate/even-measurements.js";
import { solveMix } from "./allocate/solve-mix.js";
import { mixSizes, smallestMixBytes } from "./mix-sizes.js";

const folder = temporaryFolder();
let small: Model;
let large: Model;
/** Rows of 320 take no type below 4.5 bits, those of 512 do: its floor is above what codebook types are open to. */
let uneven: Model;

beforeAll(async () => {
  small = await openModel(await writeBareModel(folder.path("small.gguf"), { layers: 2 }));
  large = await openModel(await writeBareModel(folder.path("large.gguf"), { layers: 40 }));
  uneven = await openModel(
    await writeBareModel(folder.path("uneven.gguf"), { layers: 2, experts: 64, embeddingLength: 320 }),
  );
});
afterAll(async () => {
  await Promise.all([small, large, uneven].map((model) => model.close()));
  folder[Symbol.dispose]();
});

test("mixSizes() goes in even steps from the smallest mix to eight bits, each reachable", async () => {
  const [sizes] = await mixSizes([large], undefined);
  expect(sizes!.length).toBeGreaterThan(3);
  const bits = sizes!.map(({ size }) => Number.parseFloat(size));
  for (const [i, { fileBytes }] of sizes!.entries()) {
    expect(fileBytes).toBeGreaterThanOrEqual(smallestMixBytes(large));
    expect(fileBytes).toBeLessThan(large.fileSizeBytes!);
    if (i > 0) expect(bits[i]! / bits[i - 1]!).toBeCloseTo(1.08, 1);
  }
  expect(bits.at(-1)).toBeLessThanOrEqual(8);
  expect(bits.at(-1)! * 1.09).toBeGreaterThan(8);
});

test("mixSizes() makes sizes that are asked for once each, smallest first, of the models that reach them", async () => {
  const bytes = Math.floor(large.fileSizeBytes! * 0.7); // more than the small one has
  const sizes = await mixSizes([small, large], ["8bpw", `${bytes}B`, "-30%", "7bpw", "7bpw"]);
  const names = sizes.map((list) => list.map(({ size }) => size));
  expect(names[0]).not.toContain(`${bytes}B`);
  expect(names[1]!.slice(0, 2)).toEqual(["7bpw", "8bpw"]);
  expect(names[1]).toHaveLength(3); // 30 % off is those bytes
  for (const list of sizes) expect(list).toEqual([...list].sort((a, b) => a.fileBytes - b.fileBytes));
});

test("mixSizes() refuses a size that no model reaches, with the range that they have", async () => {
  const least = smallestMixBytes(large);
  await expect(mixSizes([large], [`${least}B`])).resolves.toHaveLength(1);
  await expect(mixSizes([large], [`${least - 1}B`])).rejects.toThrow(/smallest mix of types takes/);
  await expect(mixSizes([large], [`${large.fileSizeBytes!}B`])).rejects.toThrow(/the model itself has/);
});

test("mixSizes() steps only over sizes that can be made, where rows hold no codebook type", async () => {
  const [sizes] = await mixSizes([uneven], undefined);
  expect(sizes!.length).toBeGreaterThan(3);
  for (const { fileBytes } of sizes!)
    expect((await solved(uneven, fileBytes)).sizeBytes).toBeLessThanOrEqual(fileBytes);
});

test("mixSizes() refuses a size that only types that are not open to it would reach, with one that can be made", async () => {
  const least = smallestMixBytes(uneven);
  await expect(mixSizes([uneven], [`${least}B`])).resolves.toHaveLength(1);
  await expect(mixSizes([uneven], [`${least - 1}B`])).rejects.toThrow("the smallest mix of types takes");
  await expect(solved(uneven, least)).resolves.toMatchObject({ sizeBytes: least });
  await expect(solved(uneven, least - 1)).rejects.toThrow(UnreachableSizeError);
});

function solved(model: Model, fileBytes: number) {
  const measured = evenMeasurements(model.tensors, model.tensors.keys());
  return solveMix(model, measured, { goal: { fileBytes }, pins: [], minimize: "size", effort: "default" });
}
