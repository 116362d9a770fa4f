// Statistics of two models side by side, on small models: against calibration's Hessians, and against sums taken the plain way.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { writeSyntheticModel } from "../../test/synthetic-model.js";
import { sharedModel } from "../../test/shared.js";
import { EngineError, PareError } from "../errors.js";
import { readGguf } from "../formats/gguf/read.js";
import { writeGguf } from "../formats/gguf/write.js";
import { loadEngine } from "../native/engine.js";
import { liveHandles } from "../native/handle.js";
import { LlamaContext } from "../native/llama-context.js";
import { LlamaModel } from "../native/llama-model.js";
import { Random } from "../support/random.js";
import { calibrate } from "./calibrate.js";
import { HessianFile } from "./hessian-file.js";
import { PairedStatistics } from "./paired-statistics.js";
import { cutWindows } from "./windows.js";

const LENGTH = 64;
const SYNTHETIC = { width: 64, feedForward: 96, heads: 2, kvHeads: 1, vocabulary: 320 } as const;

let folder: string;
let dense: string;
let rounded: string;
let experts: string;
let otherExperts: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pare-paired-"));
  [dense, rounded, experts, otherExperts] = ["a", "b", "c", "d"].map((name) => join(folder, `${name}.gguf`)) as [
    string,
    string,
    string,
    string,
  ];
  await writeSyntheticModel(dense, { ...SYNTHETIC, layers: 3 });
  await changed(dense, rounded, (name, value) => (/ffn|attn_/.test(name) ? Math.round(value * 16) / 16 : value));
  await writeSyntheticModel(experts, { ...SYNTHETIC, experts: 4, expertsUsed: 2 });
  await changed(experts, otherExperts, (name, value) => (/attn_v/.test(name) ? value * 1.3 : value));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A copy with other values in its two-dimensional weights. */
async function changed(from: string, to: string, edit: (name: string, value: number) => number): Promise<void> {
  await using whole = await readGguf(from);
  const tensors = await Promise.all(
    whole.tensors.map(async ({ name, shape, type }) => {
      const bytes = new Uint8Array(await whole.readTensor(name));
      const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      for (let i = 0; i < values.length; i++) values[i] = edit(name, values[i]!);
      return { name, shape, type, chunks: () => [bytes] };
    }),
  );
  await writeGguf(to, { metadata: whole.metadata, tensors });
}

const open = (path: string): LlamaModel => LlamaModel.load(loadEngine(), path, { mmap: false });

function randomWindows(count: number): Int32Array[] {
  const random = new Random(5);
  return Array.from({ length: count }, () => Int32Array.from({ length: LENGTH }, () => random.integer(320)));
}

/** The rows that enter a weight, one window at a time and with nothing shared; ids where a router picks. */
function plainRows(model: LlamaModel, windows: Int32Array[], weight: string) {
  const rows: { values: number[]; expert: number; token: number }[] = [];
  using context = LlamaContext.create(model, {
    contextLength: LENGTH,
    threads: 1,
    observer: {
      wants: (tensor) => /^MUL_MAT(_ID)?$/.test(tensor.op) && tensor.source(0)!.name === weight,
      sees: (tensor) => {
        const [input, ids] = [tensor.source(1)!, tensor.source(2)];
        const [columns, slots, tokens] = ids ? input.shape : [input.shape[0], 1, input.shape[1]];
        const [values, chosen] = [input.floats(), ids?.integers()];
        const used = ids?.shape[0] ?? 1;
        for (let token = 0; token < tokens; token++) {
          for (let slot = 0; slot < used; slot++) {
            const start = (token * slots + (slot % slots)) * columns;
            const expert = chosen ? chosen[(token * ids!.strides[1]) / 4 + slot]! : 0;
            rows.push({ values: [...values.subarray(start, start + columns)], expert, token: token + first });
          }
        }
      },
    },
  });
  const batch = context.newBatch();
  let first = 0;
  for (const window of windows) {
    batch.clear();
    window.forEach((token, position) => batch.add(token, position, 0, true));
    context.clearMemory();
    context.decode(batch);
    first += window.length;
  }
  return rows;
}

/** Σ a bᵀ, element (i, j) at i · columns + j. */
function products(pairs: { a: number[]; b: number[] }[]): number[] {
  const columns = pairs[0]!.a.length;
  const sum = Array.from({ length: columns ** 2 }, () => 0);
  for (const { a, b } of pairs)
    for (let i = 0; i < columns; i++) for (let j = 0; j < columns; j++) sum[i * columns + j]! += a[i]! * b[j]!;
  return sum;
}

function relativeDistance(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(found.length).toBe(wanted.length);
  let [distance, size] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    distance += (found[i]! - wanted[i]!) ** 2;
    size += wanted[i]! ** 2;
  }
  return Math.sqrt(distance / size);
}

const Q = "blk.1.attn_q.weight";
const DOWN = "blk.2.ffn_down.weight";

describe("PairedStatistics", () => {
  test("lists each input once, in the order of the graph", async () => {
    using model = open(dense);
    const inputs = await new PairedStatistics({ original: model, threads: 1, contextLength: LENGTH }).inputs();
    expect(inputs.map(({ layer, columns }) => [layer, columns])).toEqual([
      ...[0, 1, 2].flatMap((layer) => [
        [layer, 64],
        [layer, 64],
        [layer, 64],
        [layer, 96],
      ]),
      [undefined, 64],
    ]);
    expect([...inputs[0]!.weights].sort()).toEqual(["k", "q", "v"].map((part) => `blk.0.attn_${part}.weight`));
    expect(inputs.at(-1)!.weights).toEqual(["output.weight"]);
  });

  test("sums the inputs of one model as a plain loop does, the output matrix's too", async () => {
    using model = open(dense);
    const windows = randomWindows(3);
    const statistics = new PairedStatistics({ original: model, threads: 1, contextLength: LENGTH });
    using found = await statistics.collect(windows, [Q, DOWN, "output.weight"]);
    expect(found.inputs).toHaveLength(3);
    for (const weight of [Q, DOWN, "output.weight"]) {
      const rows = plainRows(model, windows, weight);
      const { hessian, cross, counts, inputSums } = found.of(weight)!;
      expect(cross).toBeUndefined();
      expect([...counts]).toEqual([3 * LENGTH]);
      expect(relativeDistance(hessian, products(rows.map(({ values }) => ({ a: values, b: values }))))).toBeLessThan(
        1e-5,
      );
      const sums = rows.reduce((total, { values }) => total.map((sum, i) => sum + values[i]!), [...inputSums].fill(0));
      expect(relativeDistance(inputSums, sums)).toBeLessThan(1e-5);
    }
  });

  test("pairs the two models' inputs of the same tokens", async () => {
    using original = open(dense);
    using candidate = open(rounded);
    const windows = randomWindows(3);
    const statistics = new PairedStatistics({ original, candidate, threads: 1, contextLength: LENGTH });
    using found = await statistics.collect(windows, [Q, DOWN]);
    for (const weight of [Q, DOWN]) {
      const [x, y] = [original, candidate].map((model) =>
        plainRows(model, windows, weight).map(({ values }) => values),
      );
      const { hessian, cross, counts, pairedCounts } = found.of(weight)!;
      expect([...counts, ...pairedCounts]).toEqual([3 * LENGTH, 3 * LENGTH]);
      expect(relativeDistance(hessian, products(y!.map((b) => ({ a: b, b }))))).toBeLessThan(1e-5);
      expect(relativeDistance(cross!, products(y!.map((b, row) => ({ a: x![row]!, b }))))).toBeLessThan(1e-5);
      expect(relativeDistance(cross!, hessian)).toBeGreaterThan(1e-3);
    }
  });

  test("gives the same sums in groups of layers as at once", async () => {
    using original = open(dense);
    using candidate = open(rounded);
    const windows = randomWindows(2);
    const statistics = new PairedStatistics({ original, candidate, threads: 2, contextLength: LENGTH });
    using whole = await statistics.collect(windows, [Q, DOWN]);
    using part = await statistics.collect(windows, [Q]);
    expect(part.inputs).toHaveLength(1);
    expect(relativeDistance(part.of(Q)!.cross!, whole.of(Q)!.cross!)).toBeLessThan(1e-6);
  });

  test("pairs experts by token, and lets a token that only the candidate sends there stand for itself", async () => {
    using original = open(experts);
    using candidate = open(otherExperts);
    const windows = randomWindows(4);
    const statistics = new PairedStatistics({ original, candidate, threads: 1, contextLength: LENGTH });
    const weights = ["blk.1.ffn_up_exps.weight", "blk.1.ffn_down_exps.weight"];
    using found = await statistics.collect(windows, weights);
    for (const weight of weights) {
      const [x, y] = [original, candidate].map((model) => plainRows(model, windows, weight));
      const { hessian, cross, counts, pairedCounts, columns } = found.of(weight)!;
      expect(counts.reduce((total, count) => total + count)).toBe(4 * LENGTH * 2);
      let unpaired = 0;
      for (let expert = 0; expert < 4; expert++) {
        const plane = (sums: Float32Array): Float32Array =>
          sums.subarray(expert * columns ** 2, (expert + 1) * columns ** 2);
        const pairs = y!
          .filter((row) => row.expert === expert)
          .map(({ values, token }) => {
            const other = x!.find((row) => row.expert === expert && row.token === token);
            return { a: other?.values ?? values, b: values, isPaired: other !== undefined };
          });
        const paired = pairs.filter(({ isPaired }) => isPaired).length;
        expect([counts[expert], pairedCounts[expert]]).toEqual([pairs.length, paired]);
        unpaired += pairs.length - paired;
        expect(relativeDistance(plane(cross!), products(pairs)), `${weight} ${expert}`).toBeLessThan(1e-5);
        expect(relativeDistance(plane(hessian), products(pairs.map(({ b }) => ({ a: b, b }))))).toBeLessThan(1e-5);
      }
      expect(unpaired).toBeGreaterThan(0);
    }
  });

  test("names the weight and the model whose input is not a number", async () => {
    const damaged = join(folder, "damaged.gguf");
    let left = 1;
    await changed(dense, damaged, (name, value) => (name === "blk.1.ffn_norm.weight" && left-- > 0 ? NaN : value));
    using original = open(dense);
    using candidate = open(damaged);
    const statistics = new PairedStatistics({ original, candidate, threads: 1, contextLength: LENGTH });
    const run = statistics.collect(randomWindows(1), [Q, DOWN, "blk.1.ffn_gate.weight"]);
    await expect(run).rejects.toThrow(EngineError);
    await expect(run).rejects.toThrow(
      /input of "blk\.1\.ffn_(gate|up)\.weight" is NaN or infinite in column 0 of ".*damaged\.gguf"/,
    );
  });

  test("refuses weights that are not there and windows of another length", async () => {
    using original = open(dense);
    const statistics = new PairedStatistics({ original, threads: 1, contextLength: LENGTH });
    await expect(statistics.collect(randomWindows(1), ["blk.9.attn_q.weight"])).rejects.toThrow(PareError);
    await expect(statistics.collect([new Int32Array(9)], [Q])).rejects.toThrow("a window has 9 tokens, wanted are 64");
    await expect(statistics.collect([], [Q])).rejects.toThrow(RangeError);
  });

  test("tells of its progress, stops when aborted, and frees its memory", async () => {
    using original = open(dense);
    const statistics = new PairedStatistics({ original, candidate: original, threads: 1, contextLength: 64 });
    await statistics.inputs();
    const handles = liveHandles();
    const steps: number[] = [];
    {
      using _found = await statistics.collect(randomWindows(40), [Q], { onProgress: ({ done }) => steps.push(done) });
    }
    expect(steps.at(-1)).toBe(40 * LENGTH);
    expect(steps.length).toBeGreaterThan(1);
    const abort = new AbortController();
    const run = statistics.collect(randomWindows(40), [Q], { signal: abort.signal, onProgress: () => abort.abort() });
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    expect(liveHandles()).toBe(handles);
  });
});

const stories = sharedModel("stories15M-f16.gguf")!;

describe.skipIf(!stories)("PairedStatistics on a real model", () => {
  const text = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. ".repeat(
    12,
  );

  test("gives calibration's Hessians, and C = H where candidate and original are one", async () => {
    using model = open(stories);
    const path = join(folder, "hessians.gguf");
    const [down, q] = ["blk.3.ffn_down.weight", "blk.0.attn_k.weight"];
    await calibrate({ model: stories, texts: [text], contextLength: 128, threads: 1, hessians: path });
    const tokens = model.tokenize(text, { addSpecial: true });
    const { windows } = cutWindows([tokens], 128, { bos: model.bosToken });
    const statistics = new PairedStatistics({ original: model, candidate: model, threads: 1, contextLength: 128 });
    using found = await statistics.collect(windows, [down, q]);
    await using file = await HessianFile.open(path);
    for (const weight of [down, q]) {
      const { hessian, cross, counts } = found.of(weight)!;
      const wanted = (await file.read(weight))!;
      expect([...counts]).toEqual([...wanted.counts]);
      expect(relativeDistance(hessian, wanted.matrix)).toBeLessThan(1e-4);
      expect(relativeDistance(cross!, hessian)).toBeLessThan(1e-6);
    }
  });

  test("looks at the tied output matrix under the embedding's name", async () => {
    using model = open(stories);
    const statistics = new PairedStatistics({ original: model, threads: 1, contextLength: 128 });
    const output = (await statistics.inputs()).at(-1)!;
    expect(output).toMatchObject({ weights: ["token_embd.weight"], columns: 288, layer: undefined });
    using found = await statistics.collect(
      [model.tokenize(text, { addSpecial: true }).slice(0, 128)],
      ["token_embd.weight"],
    );
    expect(found.of("token_embd.weight")!.counts[0]).toBe(128);
  });
});
