import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { writeSyntheticModel } from "../../test/synthetic-model.js";
import { loadEngine } from "../native/engine.js";
import { LlamaModel } from "../native/llama-model.js";
import type { Observer } from "../native/observe.js";
import { type DistinctInput, SILENT, findInputs, inputsOf } from "./distinct-inputs.js";
import { InputWatcher, KeptInputs, counterparts } from "./input-watcher.js";
import { runWindows } from "./run-windows.js";

let folder: string;
let model: LlamaModel;
let inputs: DistinctInput[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pare-watcher-"));
  const path = join(folder, "model.gguf");
  await writeSyntheticModel(path, { width: 64, feedForward: 96, heads: 2, kvHeads: 1, vocabulary: 320, layers: 4 });
  model = LlamaModel.load(loadEngine(), path);
  inputs = await findInputs(model, 1);
});
afterAll(async () => {
  model[Symbol.dispose]();
  await rm(folder, { recursive: true, force: true });
});

/** What a watcher of some weights sees, and the last layer whose nodes the engine came to. */
async function watch(weights: string[], batchTokensMax?: number) {
  const seen: string[] = [];
  let lastLayer = -1;
  const watcher = new InputWatcher(inputsOf(inputs, weights), ({ name }) => seen.push(name));
  const observer: Observer = {
    wants: (tensor) => {
      lastLayer = Math.max(lastLayer, Number(/-(\d+)$/.exec(tensor.name)?.[1] ?? -1));
      return watcher.wants(tensor);
    },
    sees: (tensor) => watcher.sees(tensor),
  };
  const windows = [Int32Array.from({ length: 600 }, (_, i) => i % 320)];
  await runWindows({ models: [{ model, observer }], windows, threads: 1, context: SILENT, batchTokensMax });
  return { seen, lastLayer };
}

test("InputWatcher ends the graph at the last wanted input", async () => {
  const { seen, lastLayer } = await watch(["blk.1.ffn_up.weight", "blk.0.attn_v.weight"]);
  expect(seen).toHaveLength(2);
  expect(lastLayer).toBe(1);
  expect((await watch(["blk.3.ffn_down.weight"])).lastLayer).toBe(3);
});

test("InputWatcher sees every wanted input in every graph", async () => {
  const { seen } = await watch(["blk.0.attn_output.weight", "blk.2.ffn_down.weight"], 512);
  expect(seen).toEqual([...seen.slice(0, 2), ...seen.slice(0, 2)]);
  expect(new Set(seen).size).toBe(2);
});

test("KeptInputs gives back in order what it was given, and refuses what it was not", () => {
  const [kept, input] = [new KeptInputs(), inputs[0]!];
  const rows = new Map([[0, { offsets: Int32Array.of(0) }]]);
  const values = Float32Array.of(1, 2);
  kept.keep(input, { values, rows });
  values.fill(9);
  kept.keep(input, { values, rows });
  expect([...kept.take(input).values]).toEqual([1, 2]);
  expect([...kept.take(input).values]).toEqual([9, 9]);
  expect(() => kept.take(input)).toThrow("only one of the models computes it");
});

test("counterparts() finds the other model's rows by token", () => {
  const other = {
    values: new Float32Array(0),
    rows: new Map([[2, { offsets: Int32Array.of(0, 8, 16), tokens: Int32Array.of(1, 4, 6) }]]),
  };
  const own = { offsets: Int32Array.of(0, 8), tokens: Int32Array.of(4, 5) };
  expect([...counterparts(inputs[0]!, 2, own, other).offsets]).toEqual([8, -1]);
  expect([...counterparts(inputs[0]!, 0, own, other).offsets]).toEqual([-1, -1]);
  const plain = { offsets: Int32Array.of(0, 8) };
  expect(() => counterparts(inputs[0]!, 0, plain, other)).toThrow("2 rows in one model, 0 in the other");
});
