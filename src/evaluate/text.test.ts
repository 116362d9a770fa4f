// Real models beside the checkout: Pare's numbers against sums over full logits, and what is refused.
import { copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { sharedData, sharedModel } from "../../test/shared.js";
import { readGguf } from "../formats/gguf/read.js";
import { loadEngine } from "../native/engine.js";
import { LlamaContext } from "../native/llama-context.js";
import { LlamaModel } from "../native/llama-model.js";
import { quantize } from "../passes/quantize/quantize.js";
import { evaluateTextInProcess } from "./text-in-process.js";
import { tokenizeTexts } from "./text-windows.js";
import { countWindows, evaluateText, tokenizeText } from "./text.js";

const tiny = sharedModel("stories260K-f32.gguf");
const small = sharedModel("stories15M-f16.gguf");
const stories = sharedData("stories-heldout.txt");
const text = stories === undefined ? "" : readFileSync(stories, "utf8").slice(0, 6000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pare-text-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(!small || !stories)(
  "evaluateTextInProcess() agrees with sums over full logits: perplexity to 1e-6, KL divergence to 1 %",
  async () => {
    const candidatePath = join(folder, "q4_0.gguf");
    await quantize({ input: small!, output: candidatePath, type: "q4_0", threads: 1 });
    const engine = loadEngine();
    using baseline = LlamaModel.load(engine, small!);
    using candidate = LlamaModel.load(engine, candidatePath);
    const tokens = tokenizeTexts(baseline, [text]);
    const request = { tokens, contextLength: 96, windows: { start: 1, count: 2 }, threads: 1 };
    const baselineFile = join(folder, "q4_0.baseline");
    const base = await evaluateTextInProcess(baseline, { ...request, baselineFile });
    const result = await evaluateTextInProcess(candidate, { ...request, against: baselineFile });
    const full = fullLogits(baseline, candidate, tokens, 96, [1, 2]);
    expect(result.tokens).toBe(2 * 47);
    expect(base.perplexity.mean / full.baselinePerplexity).toBeCloseTo(1, 6);
    expect(result.baselinePerplexity!.mean / full.baselinePerplexity).toBeCloseTo(1, 6);
    expect(result.perplexity.mean / full.perplexity).toBeCloseTo(1, 6);
    expect(Math.abs(result.klDivergence!.mean / full.klDivergence - 1)).toBeLessThan(0.01);
    expect(Math.abs(result.klDivergence!.median / full.medianDivergence - 1)).toBeLessThan(0.02);
    expect(result.sameTopRate).toBe(full.sameTopRate);
    expect(statSync(baselineFile).size / result.tokens).toBeLessThan(0.02 * 4 * baseline.vocabularySize);
  },
);

test.skipIf(!tiny || !stories)(
  "evaluateTextInProcess() gives a window the same likelihood alone and among others",
  async () => {
    using model = LlamaModel.load(loadEngine(), tiny!);
    const tokens = tokenizeTexts(model, [text]);
    const together = await evaluateTextInProcess(model, {
      tokens,
      contextLength: 100,
      windows: { count: 7 },
      threads: 1,
    });
    const alone = [];
    for (let window = 0; window < 7; window++) {
      const result = await evaluateTextInProcess(model, { tokens, contextLength: 100, windows: [window], threads: 1 });
      alone.push(result.windows[0]!.negativeLogLikelihood);
    }
    for (const [i, { negativeLogLikelihood }] of together.windows.entries())
      expect(negativeLogLikelihood).toBeCloseTo(alone[i]!, 4);
  },
);

test.skipIf(!tiny || !stories)(
  "evaluateText() against a model keeps that model's baseline and uses it again",
  async () => {
    const baselineFile = join(folder, "tiny.baseline");
    const request = {
      model: tiny!,
      against: tiny!,
      baselineFile,
      texts: [text],
      contextLength: 128,
      windows: { count: 4 },
      threads: 1,
    };
    const stages = new Set<string>();
    const first = await evaluateText(request, { onProgress: ({ stage }) => stages.add(stage) });
    expect(stages).toEqual(new Set(["measuring the baseline", "measuring"]));
    expect(first.klDivergence!.mean).toBeLessThan(1e-5);
    expect(first.sameTopRate).toBe(1);
    expect(first.perplexityRatio!.low).toBeCloseTo(1, 6);
    const written = statSync(baselineFile).mtimeMs;
    const second = await evaluateText(request);
    expect(statSync(baselineFile).mtimeMs).toBe(written);
    expect(second.klDivergence).toEqual(first.klDivergence);
    // The file holds its text and its window.
    const alone = await evaluateText({ model: tiny!, against: baselineFile, threads: 1 });
    expect(alone.windows.map(({ window }) => window)).toEqual([0, 1, 2, 3]);
    expect(alone.klDivergence).toEqual(first.klDivergence);
  },
);

test.skipIf(!tiny || !stories)(
  "evaluateText() names a baseline of other windows, of other text and of another selection",
  async () => {
    const baselineFile = join(folder, "checks.baseline");
    await evaluateText({
      model: tiny!,
      baselineFile,
      texts: [text],
      contextLength: 128,
      windows: { count: 2 },
      threads: 1,
    });
    const request = { model: tiny!, against: baselineFile, texts: [text], threads: 1 };
    await expect(evaluateText({ ...request, contextLength: 64 })).rejects.toThrow(
      /windows of 128 tokens, asked for are 64/,
    );
    await expect(evaluateText({ ...request, texts: [text.slice(50)] })).rejects.toThrow(/is of another text/);
    await expect(evaluateText({ ...request, windows: [5] })).rejects.toThrow(/has no window 5/);
    await expect(evaluateText({ ...request, baselineFile: join(folder, "other") })).rejects.toThrow(
      /is a baseline already/,
    );
  },
);

test.skipIf(!tiny || !small || !stories)(
  "evaluateText() refuses models of two vocabularies before it measures",
  async () => {
    const stages: string[] = [];
    const run = evaluateText(
      { model: tiny!, against: small!, texts: [text], contextLength: 64 },
      { onProgress: ({ stage }) => stages.push(stage) },
    );
    await expect(run).rejects.toThrow(/their vocabularies have 512 tokens and 32000/);
    expect(stages).toEqual([]);
  },
);

test.skipIf(!tiny)("evaluateText() says how many tokens a text has that is shorter than one window", async () => {
  await expect(evaluateText({ model: tiny!, texts: ["Once upon a time"], threads: 1 })).rejects.toThrow(
    /The text is too short: \d+ tokens, one window needs 512/,
  );
});

test.skipIf(!tiny || !stories)("evaluateText() names the window whose logits are not numbers", async () => {
  const path = join(folder, "nan.gguf");
  copyFileSync(tiny!, path);
  await using file = await readGguf(path);
  const norm = file.tensors.find(({ name }) => name === "output_norm.weight")!;
  const handle = openSync(path, "r+");
  writeSync(handle, new Uint8Array(Float32Array.of(Number.NaN).buffer), 0, 4, norm.offset);
  closeSync(handle);
  const request = { model: path, texts: [text], contextLength: 64, windows: [2], threads: 1 };
  await expect(evaluateText(request)).rejects.toThrow(/window 2 has logits that are not numbers/);
});

test.skipIf(!tiny || !stories)("evaluateText() stops at once when it is aborted", async () => {
  const controller = new AbortController();
  const run = evaluateText(
    { model: tiny!, texts: [text], contextLength: 64, threads: 1 },
    { signal: controller.signal },
  );
  controller.abort();
  await expect(run).rejects.toMatchObject({ name: "AbortError" });
});

test.skipIf(!tiny || !stories)("countWindows() and tokenizeText() agree with each other", async () => {
  const shape = await countWindows({ model: tiny!, texts: [text] });
  expect(shape.contextLength).toBe(512);
  expect(shape.windows).toBe(Math.floor(shape.tokens / 512));
  expect(await tokenizeText({ model: tiny!, texts: [text] })).toHaveLength(shape.tokens);
});

function fullLogits(
  baseline: LlamaModel,
  candidate: LlamaModel,
  tokens: Int32Array,
  contextLength: number,
  windows: number[],
) {
  const divergences: number[] = [];
  let baselineLoss = 0;
  let loss = 0;
  let sameTop = 0;
  for (const window of windows) {
    const part = tokens.slice(window * contextLength, (window + 1) * contextLength);
    const first = contextLength / 2;
    const p = logProbabilities(baseline, part, first);
    const q = logProbabilities(candidate, part, first);
    for (const [row, logP] of p.entries()) {
      const next = part[first + row + 1]!;
      const logQ = q[row]!;
      baselineLoss -= logP[next]!;
      loss -= logQ[next]!;
      divergences.push(logP.reduce((sum, value, id) => sum + Math.exp(value) * (value - logQ[id]!), 0));
      if (indexOfMaximum(logP) === indexOfMaximum(logQ)) sameTop++;
    }
  }
  const tokensScored = divergences.length;
  divergences.sort((a, b) => a - b);
  return {
    baselinePerplexity: Math.exp(baselineLoss / tokensScored),
    perplexity: Math.exp(loss / tokensScored),
    klDivergence: divergences.reduce((a, b) => a + b) / tokensScored,
    medianDivergence: (divergences[tokensScored / 2 - 1]! + divergences[tokensScored / 2]!) / 2,
    sameTopRate: sameTop / tokensScored,
  };
}

function logProbabilities(model: LlamaModel, tokens: Int32Array, first: number): Float64Array[] {
  using context = LlamaContext.create(model, { contextLength: tokens.length, batchSize: tokens.length, threads: 1 });
  const batch = context.newBatch();
  for (const [i, token] of tokens.entries()) batch.add(i === 0 ? model.bosToken : token, i, 0, i >= first);
  context.decode(batch);
  return Array.from({ length: tokens.length - 1 - first }, (_, row) => {
    const logits = Float64Array.from(context.logits(first + row));
    const highest = logits.reduce((a, b) => Math.max(a, b));
    const logSum = highest + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - highest), 0));
    return logits.map((value) => value - logSum);
  });
}

function indexOfMaximum(values: Float64Array): number {
  return values.indexOf(values.reduce((a, b) => Math.max(a, b)));
}
