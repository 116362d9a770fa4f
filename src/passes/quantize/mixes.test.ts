import { expect, test } from "vitest";

import { type BareShape, bareTensors } from "../../../test/bare-model.js";
import { Metadata } from "../../formats/gguf/metadata.js";
import type { LazyTensor, Model } from "../../model/model.js";
import { modelSpec } from "../../model/spec.js";
import { assignTypes } from "./assign-types.js";
import { enumerateCandidates, parseCandidateName } from "./mixes.js";
import { predictSize } from "./predict-size.js";

function bareModel(shape: BareShape): Pick<Model, "metadata" | "tensors" | "spec"> {
  const metadata = new Metadata().set("general.architecture", "string", "llama");
  metadata.set("llama.block_count", "uint32", shape.layers).set("llama.attention.head_count", "uint32", 8);
  if (shape.experts) metadata.set("llama.expert_count", "uint32", shape.experts);
  const tensors = new Map(
    bareTensors(shape).map((tensor) => [tensor.name, { ...tensor, sizeBytes: 0 } as unknown as LazyTensor]),
  );
  return { metadata, tensors, spec: modelSpec(metadata, tensors) };
}

const types = (assignments: ReadonlyMap<string, { type: string }>) =>
  [...assignments.values()].map(({ type }) => type).join();

test.each<[string, BareShape]>([
  ["untied", { layers: 8 }],
  ["tied with rows of 288", { layers: 6, tied: true, embeddingLength: 288, feedForwardLength: 768 }],
  ["experts", { layers: 4, experts: 8 }],
])("enumerateCandidates() gives a few dozen different outcomes, smallest first: %s", (_name, shape) => {
  const model = bareModel(shape);
  const candidates = enumerateCandidates(model, { hasImportance: true });
  expect(candidates.length).toBeGreaterThan(15);
  expect(candidates.length).toBeLessThanOrEqual(48);
  const sizes = candidates.map(({ sizeBytes }) => sizeBytes);
  expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  expect(new Set(candidates.map(({ assignments }) => types(assignments))).size).toBe(candidates.length);
  expect(new Set(candidates.map(({ name }) => name)).size).toBe(candidates.length);
});

test("enumerateCandidates() keeps the plain mixtures when it thins", () => {
  const names = enumerateCandidates(bareModel({ layers: 8 }), { hasImportance: true, candidatesMax: 30 }).map(
    (c) => c.name,
  );
  expect(names).toHaveLength(30);
  for (const name of ["q8_0", "q4_K_M", "q2_K", "iq1_s"]) expect(names).toContain(name);
});

test("enumerateCandidates() leaves out what needs importance where there is none", () => {
  const presets = enumerateCandidates(bareModel({ layers: 8 })).map(({ preset }) => preset);
  expect(presets).toContain("q2_K");
  for (const preset of ["iq1_s", "iq2_xxs", "iq2_m", "iq3_xxs", "q2_K_S"]) expect(presets).not.toContain(preset);
});

test("enumerateCandidates() proposes only smaller outcomes for a model that is quantized already", () => {
  const model = bareModel({ layers: 8, type: "q4_0" });
  const candidates = enumerateCandidates(model, { hasImportance: true });
  const asItIs = predictSize(
    model,
    assignTypes({ ...model, tensors: model.tensors.values(), preset: "copy", hasImportance: false }),
  );
  expect(candidates.map(({ name }) => name)).toContain("q2_K");
  for (const { name, sizeBytes } of candidates) expect(sizeBytes, name).toBeLessThan(asItIs);
});

test("enumerateCandidates() names a candidate so that its types come out again", () => {
  for (const shape of [{ layers: 8 }, { layers: 8, tied: true }]) {
    const model = bareModel(shape);
    for (const { name, assignments, sizeBytes } of enumerateCandidates(model, { hasImportance: true })) {
      const input = { tensors: model.tensors.values(), spec: model.spec, hasImportance: true };
      const again = assignTypes({ ...input, ...parseCandidateName(name) });
      expect(types(again), name).toBe(types(assignments));
      expect(predictSize(model, again)).toBe(sizeBytes);
    }
  }
});
