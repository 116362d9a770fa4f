// A mix on trial against the same tensors substituted by hand.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { loadEngine } from "../../native/engine.js";
import { quantizeRows } from "../../native/ggml.js";
import { Random } from "../../support/random.js";
import { TrialMix } from "./trial-mix.js";
import { WeightLab } from "./weight-lab.js";

const engine = loadEngine();
const CONTEXT = 64;
const [UP, EMBEDDING] = ["blk.0.ffn_up.weight", "token_embd.weight"];

let folder: string;
let path: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pare-trial-mix-"));
  path = join(folder, "plain.gguf");
  await writeSyntheticModel(path, { type: "f16", layers: 2 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function openTrial(): Promise<{ lab: WeightLab; trial: TrialMix }> {
  const lab = await WeightLab.open(engine, path, { threads: 1 });
  const random = new Random(7);
  const tokens = Int32Array.from({ length: 4 * CONTEXT }, () => random.integer(lab.model.vocabularySize));
  lab.measureBaseline({ tokens, contextLength: CONTEXT });
  return { lab, trial: await TrialMix.open({ lab, windows: [tokens.subarray(0, CONTEXT)], threads: 2 }) };
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

test("TrialMix rounds by what enters a layer: nearer than without", async () => {
  const { lab, trial } = await openTrial();
  using _ = lab;
  const mean = (means: Float64Array) => means.reduce((total, value) => total + value, 0) / means.length;
  const weighted = mean(await trial.measure(new Map([[UP, "q2_K"]]), 4));
  lab.substituteBytes(
    UP,
    "q2_K",
    quantizeRows(engine, "q2_K", lab.originalValues(UP), lab.source.tensor(UP).shape[0]!),
  );
  expect(weighted).not.toBe(lab.divergence().mean);
});
