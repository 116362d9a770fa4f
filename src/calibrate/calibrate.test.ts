// Calibration end to end in its child process, on a small real model: against sums taken the plain way in this process,
// against numbers that llama-imatrix printed, and with everything that can be asked for at once.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { writeExpertModel } from "../../test/expert-model.js";
import { sharedModel } from "../../test/shared.js";
import { FormatError, PareError, UsageError } from "../errors.js";
import { readGguf } from "../formats/gguf/read.js";
import { writeGguf } from "../formats/gguf/write.js";
import { loadEngine } from "../native/engine.js";
import { LlamaContext } from "../native/llama-context.js";
import { LlamaModel } from "../native/llama-model.js";
import { type CalibrationRequest, calibrate } from "./calibrate.js";
import { HessianFile } from "./hessian-file.js";
import { readImportance } from "./read-imatrix.js";

const TEXT = `Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball under a tree. "Whose ball is this?" she asked. A small dog came and barked. The dog wanted to play. Lily threw the ball far away, and the dog ran fast to catch it. They played all day long. When the sun went down, Lily's mom called her name. "It is time to go home," she said. Lily gave the dog a hug and said goodbye. The dog was sad, but then he saw the ball. Lily had left it for him. He wagged his tail and took the ball to his house. From that day on, they met in the park every day and were the best of friends.
`;
const model = sharedModel("stories260K-f32.gguf")!;
const withModel = describe.skipIf(!model);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pare-calibrate-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const request = (more: Partial<CalibrationRequest> = {}): CalibrationRequest => ({
  model,
  texts: [TEXT],
  contextLength: 64,
  threads: 1,
  ...more,
});

/** Sums of squares of every weight's input, one window and one matrix product at a time, nothing shared. */
function plainSums(): Map<string, Float64Array> {
  const sums = new Map<string, Float64Array>();
  using llama = LlamaModel.load(loadEngine(), model);
  using context = LlamaContext.create(llama, {
    contextLength: 64,
    threads: 1,
    observer: {
      wants: (tensor) => tensor.op === "MUL_MAT" && tensor.source(0)!.name.startsWith("blk."),
      sees: (tensor) => {
        const [name, columns] = [tensor.source(0)!.name, tensor.source(1)!.shape[0]];
        const total = sums.get(name) ?? new Float64Array(columns);
        sums.set(name, total);
        tensor
          .source(1)!
          .floats()
          .forEach((value, i) => (total[i % columns]! += value * value));
      },
    },
  });
  const tokens = llama.tokenize(TEXT, { addSpecial: true });
  const batch = context.newBatch();
  for (let start = 0; start + 64 <= tokens.length; start += 64) {
    batch.clear();
    tokens.subarray(start, start + 64).forEach((token, i) => batch.add(i === 0 ? llama.bosToken : token, i, 0, true));
    context.clearMemory();
    context.decode(batch);
  }
  return sums;
}

function largestRelativeError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  return Math.max(...Array.from(wanted, (value, i) => Math.abs(found[i]! / value - 1)));
}

withModel("calibrate()", () => {
  test("sums what a plain loop over every product's input sums", async () => {
    const { importance, windows, tokens } = await calibrate(request());
    const wanted = plainSums();
    expect([...importance.entries.keys()].sort()).toEqual([...wanted.keys()].sort());
    expect([windows, tokens]).toEqual([4, 256]);
    for (const [name, sums] of wanted) {
      const { sums: found, counts } = importance.entries.get(name)!;
      expect([...counts]).toEqual([256]);
      expect(largestRelativeError(found, sums), name).toBeLessThan(1e-3); // batches of another shape round otherwise
    }
  });

  // llama-imatrix of llama.cpp b9888, `-c 64 --no-ppl`, on this text and model.
  test.each([
    ["blk.0.attn_q.weight", [135.00084, 132.45688, 149.6165], 20949.597],
    ["blk.0.attn_output.weight", [25.129942, 25.478054, 10.874727], 1459.8491],
    ["blk.2.ffn_down.weight", [45.380951, 9.1640625, 40.011642], 3344.8464],
    ["blk.4.ffn_up.weight", [123.76577, 274.16895, 228.25475], 15502.811],
    ["blk.4.ffn_down.weight", [56.778473, 68.931129, 61.76764], 14317.752],
  ])("gives llama-imatrix's sums for %s", async (name, wanted, total) => {
    const { sums } = (await calibrated()).importance.entries.get(name)!;
    expect(largestRelativeError([sums[0]!, sums[1]!, sums.at(-1)!], wanted)).toBeLessThan(1e-3);
    expect(sums.reduce((sum, value) => sum + value, 0) / total).toBeCloseTo(1, 4);
  });

  test("writes what it returns, and names the text that it came from", async () => {
    const path = join(folder, "text.txt");
    await writeFile(path, TEXT);
    const output = join(folder, "out/imatrix.gguf");
    const { importance } = await calibrate(request({ texts: [{ path }], output }));
    const read = await readImportance(output);
    expect(read).toMatchObject({ chunkCount: 4, chunkSize: 64, datasets: [path] });
    for (const [name, entry] of importance.entries) expect(read.entries.get(name)).toEqual(entry);
  });

  test("keeps Hessians whose diagonals are the sums, one for layers that share an input", async () => {
    const path = join(folder, "hessians.gguf");
    const { importance, hessians } = await calibrate(request({ hessians: path }));
    expect(hessians).toEqual({ path, weights: 35 });
    await using file = await HessianFile.open(path);
    expect(file.weights.sort()).toEqual([...importance.entries.keys()].sort());
    for (const [name, { sums }] of importance.entries) {
      const { matrix, columns, counts } = (await file.read(name))!;
      expect([...counts]).toEqual([256]);
      expect(
        largestRelativeError(
          Array.from(sums, (_, j) => matrix[j * columns + j]!),
          sums,
        ),
        name,
      ).toBeLessThan(1e-4);
      for (let i = 0; i < columns; i++) expect(matrix[i * columns + 3]).toBeCloseTo(matrix[3 * columns + i]!, 3);
    }
    expect((await file.read("blk.0.attn_q.weight"))!.weights.toSorted()).toEqual([
      "blk.0.attn_k.weight",
      "blk.0.attn_q.weight",
      "blk.0.attn_v.weight",
    ]);
  });

  test("keeps only the Hessians that are asked for", async () => {
    const path = join(folder, "some.gguf");
    await calibrate(request({ hessians: path, hessianTensors: "blk\\.1\\.(attn_k|ffn_down)" }));
    await using file = await HessianFile.open(path);
    expect(file.weights.sort()).toEqual(
      ["attn_k", "attn_q", "attn_v", "ffn_down"].map((part) => `blk.1.${part}.weight`),
    );
    expect((await file.read("blk.1.attn_k.weight"))!.counts[0]).toBe(256);
  });

  test("tells how similar each block's output is to its input", async () => {
    const { similarity } = await calibrate(request({ similarity: true }));
    expect(similarity!.map(({ layer, tokens }) => [layer, tokens])).toEqual(
      [0, 1, 2, 3, 4].map((layer) => [layer, 256]),
    );
    for (const { cosine, blockInfluence } of similarity!) {
      expect(cosine).toBeGreaterThan(0);
      expect(cosine).toBeLessThan(1);
      expect(blockInfluence).toBeCloseTo(1 - cosine, 12);
    }
  });

  test("counts the tokens of each expert, and warns of experts that saw none", async () => {
    const path = join(folder, "experts.gguf");
    await writeExpertModel(model, path, { experts: 5, used: 2 });
    const hessians = join(folder, "expert-hessians.gguf");
    const { experts, importance, warnings } = await calibrate(request({ model: path, experts: true, hessians }));
    expect(experts).toHaveLength(5);
    for (const { weight, tokensPerExpert, tokensTotal, expertsUnused } of experts!) {
      const [a, b, c, d, never] = tokensPerExpert;
      expect([a! + b!, c! + d!, never, tokensTotal, expertsUnused], weight).toEqual([256, 256, 0, 512, 1]);
    }
    expect(warnings).toHaveLength(5);
    expect(importance.entries.get("blk.0.ffn_down_exps.weight")).toMatchObject({ matrices: 5, columns: 172 });
    await using file = await HessianFile.open(hessians);
    const { sums } = importance.entries.get("blk.0.ffn_up_exps.weight")!;
    const { matrix, columns, counts } = (await file.read("blk.0.ffn_up_exps.weight"))!;
    expect([...counts]).toEqual(experts![0]!.tokensPerExpert);
    const diagonals = Array.from(
      sums,
      (_, i) => matrix[Math.floor(i / columns) * columns ** 2 + (i % columns) * (columns + 1)]!,
    );
    expect(largestRelativeError(diagonals.slice(0, 4 * columns), sums.subarray(0, 4 * columns))).toBeLessThan(1e-4);
  });

  test("says how many tokens there are and how many a window takes", async () => {
    await expect(calibrate(request({ texts: ["Once upon a time"], contextLength: 512 }))).rejects.toThrow(
      /the text has \d+ tokens, one window takes 512/,
    );
  });

  test("refuses empty text, absent text and windows that are too short", async () => {
    await expect(calibrate(request({ texts: [] }))).rejects.toThrow(UsageError);
    await expect(calibrate(request({ texts: [TEXT, " \n"] }))).rejects.toThrow("text 2 is empty");
    await expect(calibrate(request({ texts: [{ path: join(folder, "absent.txt") }] }))).rejects.toThrow("no such file");
    await expect(calibrate(request({ contextLength: 8 }))).rejects.toThrow("16 or more");
  });

  test("refuses before the run an output that can't be written", async () => {
    await writeFile(join(folder, "file"), "");
    await expect(calibrate(request({ output: join(folder, "file/imatrix.gguf") }))).rejects.toThrow(PareError);
    await expect(calibrate(request({ output: folder }))).rejects.toThrow("a folder stands there");
  });

  test("refuses a file that the engine can't load", async () => {
    const path = join(folder, "no-model.gguf");
    await writeFile(path, "GGUF and nothing else");
    await expect(calibrate(request({ model: path }))).rejects.toThrow(FormatError);
    await expect(calibrate(request({ model: join(folder, "absent.gguf") }))).rejects.toThrow(FormatError);
  });

  test("names the layer whose input is not a number, and leaves no file", async () => {
    const path = join(folder, "damaged.gguf");
    await damage(path, "blk.2.attn_norm.weight");
    const output = join(folder, "damaged/imatrix.gguf");
    await expect(calibrate(request({ model: path, output, hessians: join(folder, "damaged/h.gguf") }))).rejects.toThrow(
      /input of "blk\.2\.attn_[qkv]\.weight" is NaN or infinite/,
    );
    expect(await readdir(join(folder, "damaged"))).toEqual([]);
  });

  test("stops when aborted, and leaves no file", async () => {
    const abort = new AbortController();
    const output = join(folder, "aborted/imatrix.gguf");
    const long = request({ texts: [TEXT.repeat(50)], output, hessians: join(folder, "aborted/h.gguf") });
    const run = calibrate(long, { signal: abort.signal, onProgress: () => abort.abort() });
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    expect(await readdir(join(folder, "aborted"))).toEqual([]);
  });
});

let once: ReturnType<typeof calibrate> | undefined;

function calibrated(): ReturnType<typeof calibrate> {
  return (once ??= calibrate(request()));
}

/** A copy of the model with NaN in one tensor. */
async function damage(path: string, name: string): Promise<void> {
  await using whole = await readGguf(model);
  const tensors = await Promise.all(
    whole.tensors.map(async (tensor) => {
      const bytes = new Uint8Array(await whole.readTensor(tensor));
      if (tensor.name === name) new Float32Array(bytes.buffer)[7] = NaN;
      return { name: tensor.name, shape: tensor.shape, type: tensor.type, chunks: () => [bytes] };
    }),
  );
  await writeGguf(path, { metadata: whole.metadata, tensors });
}
