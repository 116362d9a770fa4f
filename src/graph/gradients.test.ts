// Gradients of every operation against finite differences, and errors at the time a graph is built.
import { afterAll, expect, test } from "vitest";

import { loadEngine } from "../native/engine.js";
import { liveHandles } from "../native/handle.js";
import { CpuBackend } from "../native/matmul.js";
import { Random } from "../support/random.js";
import { backpropagate } from "./backpropagate.js";
import { chosenProbabilities } from "./chosen-probabilities.js";
import { crossEntropy } from "./cross-entropy.js";
import { findFault } from "./find-fault.js";
import { Graph } from "./graph.js";
import { Operations } from "./operations.js";
import { TensorStore } from "./store.js";
import type { Tensor } from "./tensor.js";
import { Workspace } from "./workspace.js";

const backend = CpuBackend.create(loadEngine(), 1);
afterAll(() => backend[Symbol.dispose]());

interface Case {
  /** Shapes of the trained inputs. */
  inputs: number[][];
  build: (
    f: Operations,
    inputs: Tensor[],
    leaf: (type: "f32" | "i32", values: number[], shape: number[]) => Tensor,
  ) => Tensor;
}

const rope = (style: "norm" | "neox"): Case => ({
  inputs: [[8, 2, 3]],
  build: (f, [a], leaf) =>
    f.rope(a!, leaf("i32", [0, 1, 5], [3]), {
      dimensions: 6,
      style,
      base: 100,
      frequencyScale: 0.5,
      factors: leaf("f32", [1, 2, 3], [3]),
    }),
});
const CASES: Record<string, Case> = {
  add: {
    inputs: [
      [4, 3],
      [4, 3],
    ],
    build: (f, [a, b]) => f.add(a!, b!),
  },
  "add of a row": { inputs: [[4, 3], [4]], build: (f, [a, b]) => f.add(a!, b!) },
  sub: { inputs: [[4, 3], [4]], build: (f, [a, b]) => f.sub(a!, b!) },
  mul: {
    inputs: [
      [4, 3],
      [4, 3],
    ],
    build: (f, [a, b]) => f.mul(a!, b!),
  },
  "mul by a row": { inputs: [[4, 3], [4]], build: (f, [a, b]) => f.mul(a!, b!) },
  "mul of one tensor by itself": { inputs: [[4, 3]], build: (f, [a]) => f.mul(a!, a!) },
  scale: { inputs: [[5]], build: (f, [a]) => f.scale(a!, -2.5, 1) },
  log: { inputs: [[5]], build: (f, [a]) => f.log(f.scale(f.mul(a!, a!), 1, 0.5)) },
  sum: { inputs: [[4, 3]], build: (f, [a]) => f.mul(f.sum(a!), f.sum(f.mul(a!, a!))) },
  sumRows: { inputs: [[4, 3]], build: (f, [a]) => f.sumRows(f.mul(a!, a!)) },
  mulMat: {
    inputs: [
      [5, 3],
      [5, 4],
    ],
    build: (f, [a, b]) => f.mulMat(a!, b!),
  },
  "mulMat of matrices": {
    inputs: [
      [5, 3, 2, 2],
      [5, 4, 2, 2],
    ],
    build: (f, [a, b]) => f.mulMat(a!, b!),
  },
  "mulMat of grouped heads": {
    inputs: [
      [5, 3, 2, 2],
      [5, 4, 6, 2],
    ],
    build: (f, [a, b]) => f.mulMat(a!, b!),
  },
  "mulMat with more rows than a part has": {
    inputs: [
      [3, 5000],
      [3, 2],
    ],
    build: (f, [a, b]) => f.mulMat(a!, b!),
  },
  "mulMat of one row": {
    inputs: [
      [5, 1],
      [5, 4],
    ],
    build: (f, [a, b]) => f.mulMat(a!, b!),
  },
  "mulMat of rows of one element": {
    inputs: [
      [1, 3],
      [1, 4],
    ],
    build: (f, [a, b]) => f.mulMat(a!, b!),
  },
  rmsNorm: { inputs: [[6, 3]], build: (f, [a]) => f.rmsNorm(a!, 1e-5) },
  "rope of neighbours": rope("norm"),
  "rope of halves": rope("neox"),
  softMax: { inputs: [[5, 3, 2]], build: (f, [a]) => f.softMax(a!, { scale: 0.7 }) },
  "softMax with a mask": {
    inputs: [[3, 3, 2, 2]],
    build: (f, [a], leaf) =>
      f.softMax(a!, { scale: 0.7, mask: leaf("f32", [0, -Infinity, -Infinity, 0, 0, -Infinity, 0, 0, 0], [3, 3]) }),
  },
  swiglu: {
    inputs: [
      [4, 3],
      [4, 3],
    ],
    build: (f, [gate, up]) => f.swiglu(gate!, up!),
  },
  getRows: { inputs: [[4, 5]], build: (f, [table], leaf) => f.getRows(table!, leaf("i32", [3, 0, 3], [3])) },
  reshape: { inputs: [[4, 6]], build: (f, [a]) => f.reshape(f.mul(a!, a!), 3, 8) },
  permute: { inputs: [[4, 3, 2, 5]], build: (f, [a]) => f.contiguous(f.permute(f.mul(a!, a!), [2, 0, 3, 1])) },
  checkpoint: {
    inputs: [
      [4, 3],
      [4, 5],
    ],
    build: (f, [x, w]) =>
      f.mul(
        f.checkpoint(f.mul(x!, x!), (h) => f.rmsNorm(f.mulMat(w!, h), 1e-5)),
        f.mulMat(w!, x!),
      ),
  },
  crossEntropy: {
    inputs: [[6, 4]],
    build: (f, [logits], leaf) =>
      crossEntropy(f, logits!, {
        indices: leaf("i32", [2, 6, 12 + 5, 18 + 3], [4]),
        shares: leaf("f32", [0.5, 0, 0.25, 0.25], [1, 4]),
        weights: leaf("f32", [0.5, 0, 0.25, 0.25], [1, 4]),
      }),
  },
  "crossEntropy with two targets a row": {
    inputs: [[6, 2]],
    build: (f, [logits], leaf) =>
      crossEntropy(f, logits!, {
        indices: leaf("i32", [2, 0, 6 + 1, 6 + 5], [4]),
        shares: leaf("f32", [0.3, 0.2, 0.1, 0.3], [1, 4]),
        weights: leaf("f32", [0.5, 0.4], [1, 2]),
      }),
  },
  chosenProbabilities: {
    inputs: [[6, 2]],
    build: (f, [logits], leaf) => chosenProbabilities(f, logits!, leaf("i32", [2, 0, 6 + 1, 6 + 5], [4]), 0.7),
  },
};

for (const [name, { inputs, build }] of Object.entries(CASES)) {
  test(`the gradient of ${name} is within 1e-3 of its norm of finite differences`, () => {
    const random = new Random(7);
    using store = TensorStore.create(backend);
    using graph = Graph.create(backend);
    const f = new Operations(graph);
    const leaves: [Tensor, Float32Array | Int32Array][] = [];
    const leaf = (type: "f32" | "i32", values: number[], shape: number[]): Tensor => {
      const tensor = store.declare(`leaf ${leaves.length}`, type, shape);
      leaves.push([tensor, type === "i32" ? Int32Array.from(values) : Float32Array.from(values)]);
      return tensor;
    };
    const trained = inputs.map((shape, i) => store.declareTrained(`input ${i}`, shape));
    const output = graph.keep(build(f, trained, leaf));
    const count = output.shape.reduce((a, b) => a * b, 1);
    const mix = Float32Array.from({ length: count }, () => random.normal());
    const seed = leaf("f32", [1], [1]);
    const mixer = leaf("f32", [...mix], [...output.shape]);
    backpropagate(f, f.sum(f.mul(output, mixer)), seed);
    store.allocate();
    using _workspace = Workspace.place(backend, [graph]);
    for (const [tensor, values] of leaves) store.write(tensor, values);
    const start = trained.map((tensor) => random_(random, tensor));
    /** The loss in double precision, from the output, at start + step · direction. */
    const lossAt = (direction: Float32Array[], step: number): number => {
      trained.forEach((tensor, i) =>
        store.write(
          tensor,
          start[i]!.map((x, j) => x + step * direction[i]![j]!),
        ),
      );
      graph.compute();
      return graph.read(output).reduce((sum, y, i) => sum + y * mix[i]!, 0);
    };
    lossAt(start, 0);
    for (const { gradient } of trained) store.zero(gradient!);
    lossAt(start, 0);
    const gradients = trained.map(({ gradient }) => store.read(gradient!));
    const norm = Math.sqrt(dot(gradients, gradients));
    expect(norm).toBeGreaterThan(0);
    const along = gradients.map((g) => g.map((x) => x / norm));
    const random1 = trained.map((tensor) => random_(random, tensor));
    const length = Math.sqrt(dot(random1, random1));
    for (const direction of [along, random1.map((d) => d.map((x) => x / length))]) {
      const step = 1e-2;
      const slope =
        (8 * (lossAt(direction, step) - lossAt(direction, -step)) -
          lossAt(direction, 2 * step) +
          lossAt(direction, -2 * step)) /
        (12 * step);
      expect(Math.abs(slope - dot(gradients, direction)) / norm).toBeLessThan(1e-3);
    }
  });
}

function random_(random: Random, tensor: Tensor): Float32Array {
  return Float32Array.from({ length: tensor.shape.reduce((a, b) => a * b, 1) }, () => random.normal());
}

function dot(a: Float32Array[], b: Float32Array[]): number {
  return a.reduce((sum, part, i) => sum + part.reduce((s, x, j) => s + x * b[i]![j]!, 0), 0);
}

test("a frozen parameter adds no node to the backward pass, and a quantized one takes part in a product", () => {
  const counts = [true, false].map((isTrained) => {
    using store = TensorStore.create(backend);
    using graph = Graph.create(backend);
    const f = new Operations(graph);
    const x = store.declareTrained("x", [32, 4]);
    const w = isTrained ? store.declareTrained("w", [32, 8]) : store.declare("w", "q4_0", [32, 8]);
    backpropagate(f, f.sum(f.mulMat(w, x)), store.declare("seed", "f32", [1]));
    store.allocate();
    using _workspace = Workspace.place(backend, [graph]);
    graph.compute();
    return graph.nodes.map(({ name }) => name).filter((name) => /gradient at/.test(name));
  });
  expect(counts).toEqual([["gradient at w.gradient", "gradient at x.gradient"], ["gradient at x.gradient"]]);
});

test("shapes and types that don't fit are errors when a graph is built, with both tensors named", () => {
  using store = TensorStore.create(backend);
  using graph = Graph.create(backend);
  const f = new Operations(graph);
  const a = store.declareTrained("a", [4, 3]);
  const b = store.declareTrained("b", [5]);
  const index = store.declare("index", "i32", [3]);
  const q = store.declare("q", "q8_0", [32, 4]);
  expect(() => f.add(a, b)).toThrow('Cannot add [4, 3] of "a" and [5] of "b": the shapes don\'t fit');
  expect(() => f.mulMat(a, b)).toThrow("Cannot multiply rows of");
  expect(() => f.mul(a, index)).toThrow('Cannot compute mul of i32 "index": f32 is wanted');
  expect(() => f.softMax(q)).toThrow(TypeError);
  expect(() => f.getRows(a, b)).toThrow("i32 is wanted");
  expect(() => f.reshape(a, 5, 5)).toThrow("Cannot reshape [4, 3]");
  expect(() => f.rope(a, index, { dimensions: 8, style: "norm", base: 1, frequencyScale: 1 })).toThrow(RangeError);
  expect(() => f.cast(a, "q4_0")).toThrow("Cannot cast");
  expect(() => store.declare("p", "q4_0", [33])).toThrow("blocks of 32");
  expect(() => backpropagate(f, f.sum(f.scale(store.declare("c", "f32", [2]), 2)), b)).toThrow("is trained");
});

test("findFault() names the first tensor that is not finite", () => {
  using store = TensorStore.create(backend);
  using graph = Graph.create(backend);
  const f = new Operations(graph);
  const x = store.declareTrained("x", [4]);
  const w = store.declareTrained("w", [4]);
  backpropagate(f, f.sum(f.mul(f.log(x), w)), store.declare("seed", "f32", [1]));
  store.allocate();
  using _workspace = Workspace.place(backend, [graph]);
  store.write(x, Float32Array.of(1, 1, 1, 1));
  expect(findFault(graph, [x, w])).toBeUndefined();
  store.write(x, Float32Array.of(1, 0, 1, 1));
  expect(findFault(graph, [x, w])?.name).toBe("log at x");
  store.write(w, Float32Array.of(1, NaN, 1, 1));
  expect(findFault(graph, [x, w])?.name).toBe("w");
});

test("graphs, stores and workspaces are freed", () => {
  const before = liveHandles();
  {
    using store = TensorStore.create(backend);
    using graph = Graph.create(backend);
    graph.keep(new Operations(graph).sum(store.declare("x", "f32", [4])));
    store.allocate();
    using _workspace = Workspace.place(backend, [graph]);
    expect(liveHandles()).toBe(before + 3);
  }
  expect(liveHandles()).toBe(before);
});
