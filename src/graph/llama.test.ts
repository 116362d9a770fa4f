// Whole models against PyTorch: loss and gradients of four members of the family, from test/golden/training.json.
import { afterAll, expect, test } from "vitest";

import { type GoldenModel, goldenShape, goldenWeights, golden } from "../../test/golden/training.js";
import { loadEngine } from "../native/engine.js";
import { CpuBackend } from "../native/matmul.js";
import { Random } from "../support/random.js";
import { backpropagate } from "./backpropagate.js";
import { crossEntropy } from "./cross-entropy.js";
import { Graph, type ProductType } from "./graph.js";
import { llamaLogits, llamaTensors } from "./llama.js";
import { Operations } from "./operations.js";
import { declareParameters } from "./parameters.js";
import { TensorStore } from "./store.js";
import { declareBatch, fillBatch } from "./token-batch.js";
import { Workspace } from "./workspace.js";

const backend = CpuBackend.create(loadEngine(), 1);
afterAll(() => backend[Symbol.dispose]());

/** Loss and gradients at given weights. */
function differentiable(model: GoldenModel, options: { checkpoint?: boolean; products?: ProductType } = {}) {
  const shape = goldenShape(model);
  const store = TensorStore.create(backend);
  const graph = Graph.create(backend, options);
  const f = new Operations(graph);
  const parameters = declareParameters(store, llamaTensors(shape));
  const size = { sequences: 2, length: 8, vocabulary: shape.vocabulary, windows: shape.windows };
  const inputs = declareBatch(store, size);
  const loss = graph.keep(crossEntropy(f, llamaLogits(f, shape, parameters, inputs, options), inputs.targets));
  backpropagate(f, loss, inputs.seed);
  store.allocate();
  const workspace = Workspace.place(backend, [graph]);
  const batch = golden.sequences();
  fillBatch(
    store,
    inputs,
    batch,
    batch.reduce((sum, { weights }) => sum + weights.reduce((a, b) => a + b, 0), 0),
  );
  return {
    evaluate(weights: Map<string, Float32Array>) {
      for (const [name, parameter] of parameters) {
        store.write(parameter, weights.get(name)!);
        store.zero(parameter.gradient!);
      }
      graph.compute();
      const gradients = new Map([...parameters].map(([name, { gradient }]) => [name, store.read(gradient!)]));
      return { loss: graph.read(loss)[0]!, gradients };
    },
    workspaceBytes: workspace.sizeBytes,
    [Symbol.dispose]() {
      for (const handle of [workspace, graph, store]) handle[Symbol.dispose]();
    },
  };
}

const norm = (values: Iterable<number>): number => Math.sqrt([...values].reduce((sum, x) => sum + x * x, 0));

test.each(Object.keys(golden.models))("%s has PyTorch's loss, and each gradient is within 1e-4 of its norm", (name) => {
  const model = golden.models[name]!;
  using at = differentiable(model);
  const { loss, gradients } = at.evaluate(goldenWeights(model));
  expect(Math.abs(loss - model.loss)).toBeLessThan(1e-5 * model.loss);
  const all = norm(Object.values(model.gradients).flat());
  for (const [tensor, expected] of Object.entries(model.gradients)) {
    const difference = norm(gradients.get(tensor)!.map((g, i) => g - expected[i]!));
    // A gradient that is almost nothing, as that of a key's bias, is held to the norm of the whole.
    expect(difference, tensor).toBeLessThan(1e-4 * Math.max(norm(expected), 1e-3 * all));
  }
});

test.each(Object.keys(golden.models))(
  "%s as a whole is within 1e-2 of finite differences along a random direction",
  (name) => {
    const model = golden.models[name]!;
    using at = differentiable(model);
    const weights = goldenWeights(model);
    const random = new Random(3);
    const directions = new Map([...weights].map(([key, values]) => [key, values.map(() => random.normal())]));
    const length = norm([...directions.values()].flatMap((d) => [...d]));
    const lossAt = (step: number): number =>
      at.evaluate(
        new Map([...weights].map(([key, w]) => [key, w.map((x, i) => x + (step / length) * directions.get(key)![i]!)])),
      ).loss;
    const { gradients } = at.evaluate(weights);
    const slope = (lossAt(0.05) - lossAt(-0.05)) / 0.1;
    const expected = [...gradients].reduce(
      (sum, [key, g]) => sum + g.reduce((s, x, i) => s + (x * directions.get(key)![i]!) / length, 0),
      0,
    );
    const size = norm([...gradients.values()].flatMap((g) => [...g]));
    expect(Math.abs(slope - expected)).toBeLessThan(1e-2 * size);
  },
);

test("checkpoints change no bit of loss and gradients, and take less memory", () => {
  const model = golden.models["qwen3"]!;
  using plain = differentiable(model);
  using checkpointed = differentiable(model, { checkpoint: true });
  const weights = goldenWeights(model);
  expect(checkpointed.evaluate(weights)).toEqual(plain.evaluate(weights));
  expect(checkpointed.workspaceBytes).toBeLessThan(plain.workspaceBytes);
});

test.each(["bf16", "f16"] as const)("products in %s stay within a fiftieth of the f32 gradient", (products) => {
  const model = golden.models["llama"]!;
  using full = differentiable(model);
  using half = differentiable(model, { products });
  const expected = full.evaluate(goldenWeights(model));
  const { loss, gradients } = half.evaluate(goldenWeights(model));
  expect(loss).not.toBe(expected.loss);
  expect(Math.abs(loss - expected.loss)).toBeLessThan(1e-2 * expected.loss);
  const size = norm([...expected.gradients.values()].flatMap((g) => [...g]));
  const difference = norm(
    [...expected.gradients].flatMap(([key, g]) => Array.from(g, (x, i) => x - gradients.get(key)![i]!)),
  );
  expect(difference / size).toBeLessThan(0.02);
});
