// A mix on trial against the same tensors substituted by hand.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { writeExpertModel } from "../../../test/expert-model.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { loadEngine } from "../../native/engine.js";
import { quantizeRows } from "../../native/ggml.js";
import { Random } from "../../support/random.js";
import { TrialMix, meanSquaresOf } from "./trial-mix.js";
import { WeightLab } from "./weight-lab.js";

const engine = loadEngine();
const CONTEXT = 64;
const SILENT = { onProgress: () => undefined, breathe: () => Promise.resolve() };
const [UP, EMBEDDING] = ["blk.0.ffn_up.weight", "token_embd.weight"];

let folder: string;
let path: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pare-trial-mix-"));
  path = join(folder, "plain.gguf");
  await writeSyntheticModel(path, { type: "f16", layers: 2 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function openTrial(model = path): Promise<{ lab: WeightLab; trial: TrialMix }> {
  const lab = await WeightLab.open(engine, model, { threads: 1 });
  const random = new Random(7);
  const tokens = Int32Array.from({ length: 4 * CONTEXT }, () => random.integer(lab.model.vocabularySize));
  lab.measureBaseline({ tokens, contextLength: CONTEXT });
  return { lab, trial: await TrialMix.open({ lab, windows: [tokens.subarray(0, CONTEXT)], threads: 2, ...SILENT }) };
}

test("TrialMix measures each window of a mix, and goes from one to the next as if each were the first", async () => {
  const { lab, trial } = await openTrial();
  using _ = lab;
  const [coarse, fine] = [
    new Map<string, GgmlType>([
      [UP, "q2_K"],
      [EMBEDDING, "q8_0"],
    ]),
    new Map<string, GgmlType>([
      [UP, "f16"],
      [EMBEDDING, "q8_0"],
    ]),
  ];
  const first = await trial.measure(coarse, 4);
  expect(first).toHaveLength(4);
  expect(Math.min(...first)).toBeGreaterThan(0);
  const second = await trial.measure(fine, 2);
  expect([...lab.substituted]).toEqual([EMBEDDING]); // as the original has it, so the original's
  const embedding = quantizeRows(engine, "q8_0", lab.originalValues(EMBEDDING), lab.source.tensor(EMBEDDING).shape[0]!);
  lab.substituteBytes(EMBEDDING, "q8_0", embedding);
  expect([...second]).toEqual([...lab.divergence({ windows: 2 }).windowMeans]);
  expect([...(await trial.measure(coarse, 4))]).toEqual([...first]);
});

test("meanSquaresOf() divides by one count where no router picks, by each expert's own where one does", () => {
  const sums = Float64Array.of(2, 4, 6, 8);
  expect([...meanSquaresOf({ sums, counts: Float64Array.of(2) })]).toEqual([1, 2, 3, 4]);
  expect([...meanSquaresOf({ sums, counts: Float64Array.of(2, 4) })]).toEqual([1, 2, 1.5, 2]);
});

test("TrialMix rounds each expert by what enters it", async () => {
  const [dense, experts] = [join(folder, "dense.gguf"), join(folder, "experts.gguf")];
  await writeSyntheticModel(dense, { type: "f32", layers: 2 });
  await writeExpertModel(dense, experts, { experts: 4, used: 2 });
  const { lab, trial } = await openTrial(experts);
  using _ = lab;
  const name = "blk.1.ffn_up_exps.weight";
  const measured = await trial.measure(new Map<string, GgmlType>([[name, "q4_0"]]), 4);
  const [columns] = lab.source.tensor(name).shape as [number];
  lab.substituteBytes(name, "q4_0", quantizeRows(engine, "q4_0", lab.originalValues(name), columns));
  const plain = lab.divergence({ windows: 4 }).windowMeans;
  const total = (means: Float64Array) => means.reduce((sum, value) => sum + value, 0);
  expect(total(measured)).not.toBe(total(plain));
  expect(total(measured)).toBeLessThan(2 * total(plain));
});
