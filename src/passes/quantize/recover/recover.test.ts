// Learning from an original's predictions: the divergence and its gradient, and what a recovery makes of a rounded model.
import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../../../test/command.js";
import { type GoldenModel, golden, goldenShape, goldenWeights } from "../../../../test/golden/training.js";
import { writeSyntheticModel } from "../../../../test/synthetic-model.js";
import type { GgmlType } from "../../../formats/gguf/ggml-types.js";
import { llamaShape } from "../../../graph/llama.js";
import { openModel } from "../../../model/open.js";
import { rowCount } from "../../../model/model.js";
import { loadEngine } from "../../../native/engine.js";
import { dequantize, quantizeRows } from "../../../native/ggml.js";
import { CpuBackend } from "../../../native/matmul.js";
import { Random } from "../../../support/random.js";
import { DivergenceStep } from "./divergence-step.js";
import { recover } from "./recover.js";

const engine = loadEngine();
const backend = CpuBackend.create(engine, 1);
const inputs = temporaryFolder();
const path = inputs.path("model.gguf");
beforeAll(() => writeSyntheticModel(path, { width: 64, feedForward: 128, layers: 2, vocabulary: 420, kvHeads: 2 }));
afterAll(() => {
  backend[Symbol.dispose]();
  inputs[Symbol.dispose]();
});

const norm = (values: Iterable<number>): number => Math.hypot(...values);

/** A step whose both models are in f32, all of the second one learned. */
function stepOf(model: GoldenModel): DivergenceStep {
  const f32 = (): GgmlType => "f32";
  return new DivergenceStep(backend, goldenShape(model), {
    sequences: 2,
    length: 8,
    targetsMax: 6,
    products: "f32",
    originalTypes: f32,
    types: f32,
    isLearned: () => true,
  }).allocate();
}

/** Six of eight targets count. */
const batch = golden.sequences().map((sequence) => ({ ...sequence, weights: new Float32Array(8).fill(1, 2) }));

test("DivergenceStep has a divergence of 0 from itself, and the gradient of finite differences from others", () => {
  const model = golden.models["qwen3"]!;
  using step = stepOf(model);
  const weights = goldenWeights(model);
  for (const [name, tensor] of step.original) step.originalStore.write(tensor, weights.get(name)!);
  const random = new Random(8);
  const moved = new Map([...weights].map(([name, w]) => [name, w.map((x) => x + 0.05 * random.normal())]));
  const direction = new Map([...weights].map(([name, w]) => [name, w.map(() => random.normal())]));
  const length = norm([...direction.values()].flatMap((d) => [...d]));
  const at = (start: Map<string, Float32Array>, share: number): number => {
    for (const [name, tensor] of step.rounded) {
      step.store.write(
        tensor,
        start.get(name)!.map((x, i) => x + (share / length) * direction.get(name)![i]!),
      );
      step.store.zero(tensor.gradient!);
    }
    return step.run(batch);
  };
  expect(Math.abs(at(weights, 0))).toBeLessThan(1e-6);
  const divergence = at(moved, 0);
  expect(divergence).toBeGreaterThan(1e-3);
  const gradients = new Map([...step.rounded].map(([name, { gradient }]) => [name, step.store.read(gradient!)]));
  const size = norm([...gradients.values()].flatMap((g) => [...g]));
  const along = [...gradients].reduce(
    (sum, [name, g]) => sum + g.reduce((s, x, i) => s + (x * direction.get(name)![i]!) / length, 0),
    0,
  );
  const slope = (at(moved, 0.05) - at(moved, -0.05)) / 0.1;
  expect(Math.abs(slope - along)).toBeLessThan(1e-2 * size);
});

/** The synthetic model rounded, and windows of its own kind: tokens by chance. */
async function rounded(type: GgmlType) {
  const model = await openModel(path);
  const matrices = [...model.tensors.values()].filter(({ shape }) => shape.length > 1);
  const values = new Map<string, Float32Array>();
  for (const { name, shape, type: own, readRows } of matrices)
    values.set(name, dequantize(engine, own, await readRows(0, rowCount(shape)), shape[0]! * rowCount(shape)));
  const random = new Random(5);
  const windows = Array.from({ length: 16 }, () => Int32Array.from({ length: 32 }, () => 3 + random.integer(400)));
  return {
    model,
    request: {
      backend,
      shape: llamaShape(model),
      original: model,
      types: new Map(matrices.map(({ name }) => [name, type])),
      bytes: new Map(
        matrices.map(({ name, shape }) => [name, quantizeRows(engine, type, values.get(name)!, shape[0]!)]),
      ),
      originalValues: (name: string) => values.get(name)!,
      windows,
      firstScored: 4,
      steps: 16,
      rates: { code: 0.02, scale: 0.005 },
      products: "f32",
    } as const,
  };
}

test.each(["q4_0", "q4_1"] as const)(
  "recover() takes a quarter of the divergence off what was rounded to %s",
  async (type) => {
    const { model, request } = await rounded(type);
    await using _model = model;
    const losses: number[] = [];
    const measured: number[] = [];
    const result = await recover({
      ...request,
      // Each look is told the mean of the steps before it: the text learned from stands in for another.
      measure: () => (measured.push(losses.length === 0 ? Infinity : losses.at(-1)!), measured.at(-1)!),
      onProgress: ({ result: loss }) => losses.push(Number(loss)),
    });
    expect(losses).toHaveLength(16);
    expect(losses.at(-1)!).toBeLessThan(0.75 * losses[0]!);
    expect(result.after).toBe(Math.min(...measured));
    for (const [name, bytes] of result.bytes)
      expect(bytes.byteLength).toBe(request.bytes.get(name)?.byteLength ?? model.tensors.get(name)!.sizeBytes);
  },
);

test("recover() gives nothing where no look was better than the start", async () => {
  const { model, request } = await rounded("q4_0");
  await using _model = model;
  let looks = 0;
  const result = await recover({ ...request, steps: 4, measure: () => 1 + looks++ });
  expect(result).toEqual({ bytes: new Map(), step: 0, steps: 4, before: 1, after: 1 });
});
