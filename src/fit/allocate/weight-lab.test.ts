// Substitution in memory against what files of the same weights measure, on a synthetic model and on stories15M.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { sharedData, sharedModel } from "../../../test/shared.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { evaluateTextInProcess } from "../../evaluate/text-in-process.js";
import { tokenizeTexts } from "../../evaluate/text-windows.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { readGguf } from "../../formats/gguf/read.js";
import { splitPath } from "../../formats/gguf/split-path.js";
import { writeGguf } from "../../formats/gguf/write.js";
import { loadEngine } from "../../native/engine.js";
import { dequantize, quantizeRows } from "../../native/ggml.js";
import { liveHandles } from "../../native/handle.js";
import { LlamaModel } from "../../native/llama-model.js";
import { Random } from "../../support/random.js";
import { WeightLab } from "./weight-lab.js";

const engine = loadEngine();
const stories = sharedModel("stories15M-f16.gguf");
const text = sharedData("stories-heldout.txt");

const CONTEXT = 64;
const DOWN = "blk.1.ffn_down.weight";
const tokens = Int32Array.from({ length: 10 * CONTEXT }, randomToken(new Random(7)));

let folder: string;
let plain: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pare-weight-lab-"));
  plain = join(folder, "plain.gguf");
  await writeSyntheticModel(plain, { type: "f16", layers: 2 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("divergence() of the original is nothing, of a substituted tensor something, of a restored one nothing again", async () => {
  using lab = await openLab(plain);
  const original = lab.divergence();
  expect(original.mean).toBeLessThan(1e-6);
  expect([original.sameTopRate, original.tokens]).toEqual([1, 10 * 31]);
  lab.substituteBytes(DOWN, "q2_K", encode(lab, DOWN, "q2_K"));
  const changed = lab.divergence();
  expect(changed.mean).toBeGreaterThan(1e-4);
  expect(changed.standardError).toBeGreaterThan(0);
  expect(changed.p99).toBeGreaterThan(changed.median);
  expect([...lab.substituted]).toEqual([DOWN]);
  lab.restore();
  expect(lab.divergence()).toEqual({ ...original, seconds: expect.anything() });
  expect(lab.substituted.size).toBe(0);
});

test("substitute() by a type's decoded values equals substituteBytes() by its bytes", async () => {
  using lab = await openLab(plain);
  const bytes = encode(lab, DOWN, "q4_K");
  lab.substituteBytes(DOWN, "q4_K", bytes);
  const byBytes = lab.divergence();
  lab.restore(DOWN);
  lab.substitute(DOWN, dequantize(engine, "q4_K", bytes, 512 * 256));
  expect(lab.divergence().windowMeans).toEqual(byBytes.windowMeans);
});

test("divergence() on a prefix of the windows gives those windows' means, in the order asked for", async () => {
  using lab = await openLab(plain);
  const windows = [7, 2, 9, 0, 4];
  lab.measureBaseline({ tokens, contextLength: CONTEXT, windows });
  lab.substituteBytes(DOWN, "q2_K", encode(lab, DOWN, "q2_K"));
  const all = lab.divergence();
  const two = lab.divergence({ windows: 2 });
  expect(two.tokens).toBe(2 * 31);
  for (const [i, mean] of two.windowMeans.entries()) expect(mean).toBeCloseTo(all.windowMeans[i]!, 6);
  expect(all.windowMeans.reduce((a, b) => a + b) / windows.length).toBeCloseTo(all.mean, 10);
  expect(() => lab.divergence({ windows: 6 })).toThrow(/Cannot measure on 6 windows: the baseline has 5/);
});

test("realModel() measures what a file of its types and bytes measures", async () => {
  await expectFileOfTypes(plain, tokens, CONTEXT, new Map<string, GgmlType>([[DOWN, "q3_K"], ["token_embd.weight", "q4_0"]])); // prettier-ignore
});

test("replace() exchanges bytes of a real model's tensor", async () => {
  using lab = await openLab(plain);
  const bytes = encode(lab, DOWN, "q2_K");
  using real = lab.realModel({ types: new Map([[DOWN, "q2_K" as const]]), bytes: () => new Uint8Array(bytes.length) });
  const zeros = real.divergence().mean;
  real.replace(DOWN, bytes);
  expect(real.divergence().mean).toBeLessThan(zeros);
  expect(() => real.replace(DOWN, bytes.subarray(84))).toThrow(/takes \d+ bytes as q2_K, not \d+/);
  expect(() => real.replace("blk.9.ffn_down.weight", bytes)).toThrow(/has no tensor "blk.9.ffn_down.weight"/);
});

test("divergence() measures KV-cache types, and says why they can't be had", async () => {
  using lab = await openLab(plain);
  const coarse = lab.divergence({ typeK: "q4_0", typeV: "q4_0", flashAttention: "on" }).mean;
  const fine = lab.divergence({ typeK: "q8_0", typeV: "q8_0", flashAttention: "on" }).mean;
  expect(fine).toBeGreaterThan(1e-9);
  expect(coarse).toBeGreaterThan(4 * fine);
  expect(() => lab.divergence({ typeK: "q4_K" })).toThrow(/block size 256 does not divide/);
  expect(lab.divergence().mean).toBeLessThan(1e-6);
});

test("WeightLab holds what exceeds f16 as f32, and decodes a quantized source", async () => {
  const path = join(folder, "types.gguf");
  await rewrite(plain, path, (name, values) => {
    if (name === DOWN) values[5] = 1e6;
    return name === "blk.0.ffn_up.weight" ? "q4_K" : name.endsWith("norm.weight") ? "f32" : "bf16";
  });
  using lab = await openLab(path);
  expect(lab.heldType(DOWN)).toBe("f32");
  expect(lab.heldType("blk.0.ffn_up.weight")).toBe("f16");
  expect(lab.heldType("blk.0.ffn_norm.weight")).toBe("f32");
  expect(lab.originalValues(DOWN)[5]).toBe(999_424); // bf16's nearest
  expect(lab.divergence().mean).toBeLessThan(1e-6);
});

test("WeightLab in bf16 holds matrices as bf16 and norms as they are, and exchanges them all the same", async () => {
  using lab = await WeightLab.open(engine, plain, { threads: 1, precision: "bf16" });
  lab.measureBaseline({ tokens, contextLength: CONTEXT });
  expect([lab.heldType(DOWN), lab.heldType("blk.0.ffn_norm.weight")]).toEqual(["bf16", "f32"]);
  lab.substitute(DOWN, lab.originalValues(DOWN));
  expect(lab.divergence().mean).toBeLessThan(1e-6);
  lab.substituteBytes(DOWN, "q2_K", encode(lab, DOWN, "q2_K"));
  expect(lab.divergence().mean).toBeGreaterThan(1e-4);
  lab.restore();
  expect(lab.divergence().mean).toBeLessThan(1e-6);
});

test("measureBaseline() scores windows from the position that is asked for, and anew from another", async () => {
  using lab = await WeightLab.open(engine, plain, { threads: 1 });
  for (const [firstScored, scored] of [
    [10, CONTEXT - 1 - 10],
    [40, CONTEXT - 1 - 40],
    [undefined, CONTEXT / 2 - 1],
  ] as const) {
    lab.measureBaseline({ tokens, contextLength: CONTEXT, firstScored });
    const { mean, tokens: count } = lab.divergence();
    expect([count, mean < 1e-6]).toEqual([10 * scored, true]);
  }
});

test("releaseModel() leaves what real models want", async () => {
  using lab = await openLab(plain);
  const bytes = encode(lab, DOWN, "q2_K");
  const measure = () => {
    using real = lab.realModel({ types: new Map([[DOWN, "q2_K" as const]]), bytes: () => bytes });
    return real.divergence().mean;
  };
  const before = measure();
  lab.releaseModel();
  expect(measure()).toBe(before);
  expect(() => lab.divergence()).toThrow();
});

test("WeightLab names a tensor that holds NaN", async () => {
  const path = join(folder, "nan.gguf");
  await rewrite(plain, path, (name, values) => {
    if (name === DOWN) values[5] = Number.NaN;
    return "f32";
  });
  const before = liveHandles();
  await expect(WeightLab.open(engine, path)).rejects.toThrow(/tensor "blk.1.ffn_down.weight" holds NaN/);
  expect(liveHandles()).toBe(before);
});

test("WeightLab opens a model split in parts", async () => {
  const path = await split(plain, join(folder, "parts"));
  using whole = await openLab(plain);
  using parts = await openLab(path);
  for (const lab of [whole, parts]) lab.substituteBytes(DOWN, "q3_K", encode(lab, DOWN, "q3_K"));
  expect(parts.divergence().windowMeans).toEqual(whole.divergence().windowMeans);
});

test("WeightLab refuses what doesn't fit and what comes too early", async () => {
  using lab = await WeightLab.open(engine, plain, { threads: 1 });
  expect(() => lab.divergence()).toThrow(/measureBaseline comes first/);
  expect(() => lab.substitute(DOWN, new Float32Array(7))).toThrow(/has 131072 values, not 7/);
  expect(() => lab.substitute(DOWN, new Float32Array(131_072).fill(70_000))).toThrow(/Cannot write 70000 to/);
  lab.restore();
  expect(() => lab.substitute("blk.7.x.weight", new Float32Array(7))).toThrow(/has no tensor "blk.7.x.weight"/);
  expect(() => lab.substituteBytes(DOWN, "q4_0", new Uint8Array(9))).toThrow(/takes 73728 bytes as q4_0, not 9/);
  expect(() => lab.realModel({ types: new Map([["x", "q4_0"]]), bytes: () => new Uint8Array(0) })).toThrow(
    /no tensor "x"/,
  );
  lab.substitute(DOWN, new Float32Array(131_072));
  expect(() => lab.measureBaseline({ tokens })).toThrow(/"blk.1.ffn_down.weight" is substituted/);
  lab.restore();
  expect(() => lab.measureBaseline({ tokens, contextLength: 1000 })).toThrow(/The text is too short: 640 tokens/);
  expect(() => lab.measureBaseline({ tokens, contextLength: CONTEXT, windows: [10] })).toThrow(/has no window 10/);
});

test("WeightLab frees all native memory", async () => {
  const before = liveHandles();
  const lab = await openLab(plain);
  const real = lab.realModel({ types: new Map(), bytes: () => new Uint8Array(0) });
  real.divergence();
  real[Symbol.dispose]();
  lab[Symbol.dispose]();
  expect(liveHandles()).toBe(before);
});

test.skipIf(!stories || !text)(
  "substituteBytes() gives within 3 % the divergence of a file with only that tensor in q4_0, realModel() all of it",
  async () => {
    const path = stories!;
    using model = LlamaModel.load(engine, path, { vocabOnly: true });
    const storyTokens = tokenizeTexts(model, [readFileSync(text!, "utf8").slice(0, 2400)]);
    await expectFileOfTypes(path, storyTokens, 128, new Map([["blk.0.ffn_down.weight", "q4_0"]]), 0.03);
  },
);

/** Compares with a file through `evaluateTextInProcess`. */
async function expectFileOfTypes(
  path: string,
  textTokens: Int32Array,
  contextLength: number,
  types: ReadonlyMap<string, GgmlType>,
  tolerance?: number,
): Promise<void> {
  using lab = await WeightLab.open(engine, path, { threads: 1 });
  lab.measureBaseline({ tokens: textTokens, contextLength });
  const contents = new Map([...types].map(([name, type]) => [name, encode(lab, name, type)]));
  const file = await measureFile(path, textTokens, contextLength, types, contents);
  using real = lab.realModel({ types, bytes: (name) => contents.get(name)! });
  const measured = real.divergence();
  expect(measured.mean).toBe(file.klDivergence!.mean);
  expect(measured.standardError).toBe(file.klDivergence!.standardError);
  expect([measured.median, measured.p99]).toEqual([file.klDivergence!.median, file.klDivergence!.p99]);
  expect(measured.sameTopRate).toBe(file.sameTopRate);
  expect(measured.perplexityRatio).toBeCloseTo(file.perplexityRatio!.mean, 9);
  if (tolerance === undefined) return;
  for (const [name, type] of types) lab.substituteBytes(name, type, contents.get(name)!);
  expect(Math.abs(lab.divergence().mean / measured.mean - 1)).toBeLessThan(tolerance);
}

async function measureFile(
  path: string,
  textTokens: Int32Array,
  contextLength: number,
  types: ReadonlyMap<string, GgmlType>,
  contents: ReadonlyMap<string, Uint8Array>,
) {
  const output = join(folder, "file.gguf");
  await using gguf = await readGguf(path);
  const tensors = gguf.tensors.map((tensor) => ({
    ...tensor,
    type: types.get(tensor.name) ?? tensor.type,
    chunks: async function* chunks() {
      yield contents.get(tensor.name) ?? (await gguf.readTensor(tensor));
    },
  }));
  await writeGguf(output, { metadata: gguf.metadata, tensors }, { hash: false });
  const request = { tokens: textTokens, contextLength, threads: 1 };
  const baselineFile = join(folder, "file.baseline");
  using baseline = LlamaModel.load(engine, path);
  await evaluateTextInProcess(baseline, { ...request, baselineFile });
  using candidate = LlamaModel.load(engine, output);
  return await evaluateTextInProcess(candidate, { ...request, against: baselineFile }); // the model lives until then
}

async function openLab(path: string): Promise<WeightLab> {
  const lab = await WeightLab.open(engine, path, { threads: 1 });
  lab.measureBaseline({ tokens, contextLength: CONTEXT });
  return lab;
}

function encode(lab: WeightLab, name: string, type: GgmlType): Uint8Array {
  return quantizeRows(engine, type, lab.originalValues(name), lab.source.tensor(name).shape[0]!);
}

/** Writes a copy with other values and types; `choose` may change the values and returns the type. */
async function rewrite(
  from: string,
  to: string,
  choose: (name: string, values: Float32Array) => GgmlType,
): Promise<void> {
  await using gguf = await readGguf(from);
  const tensors = [];
  for (const tensor of gguf.tensors) {
    const count = tensor.shape.reduce((a, b) => a * b, 1);
    const values = dequantize(engine, tensor.type, await gguf.readTensor(tensor), count);
    const type = choose(tensor.name, values);
    const bytes = quantizeRows(engine, type, values, tensor.shape[0]!);
    tensors.push({ ...tensor, type, chunks: () => [bytes] });
  }
  await writeGguf(to, { metadata: gguf.metadata, tensors }, { hash: false });
}

/** Cuts a model in two. @returns the first part's path */
async function split(from: string, prefix: string): Promise<string> {
  await using gguf = await readGguf(from);
  for (const part of [0, 1]) {
    const metadata = gguf.metadata
      .clone()
      .set("split.no", "uint16", part)
      .set("split.count", "uint16", 2)
      .set("split.tensors.count", "int32", gguf.tensors.length);
    const tensors = gguf.tensors
      .filter((_, i) => i % 2 === part)
      .map((tensor) => ({
        ...tensor,
        chunks: async function* chunks() {
          yield await gguf.readTensor(tensor);
        },
      }));
    await writeGguf(splitPath(prefix, part, 2), { metadata, tensors }, { hash: false });
  }
  return splitPath(prefix, 0, 2);
}

/** Ordinary tokens of a synthetic vocabulary. */
function randomToken(random: Random): () => number {
  return () => 3 + random.integer(500);
}
