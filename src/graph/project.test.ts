// Adapters in a model's graph: what they add, and the gradients of their matrices on frozen and on quantized models.
import { afterAll, expect, test } from "vitest";

import { loadEngine } from "../native/engine.js";
import { dequantize, quantizeRows } from "../native/ggml.js";
import { CpuBackend } from "../native/matmul.js";
import { Random } from "../support/random.js";
import { backpropagate } from "./backpropagate.js";
import { Graph, type ProductType } from "./graph.js";
import { Operations } from "./operations.js";
import { adapterTensors, project } from "./project.js";
import { TensorStore } from "./store.js";
import { Workspace } from "./workspace.js";

const engine = loadEngine();
const backend = CpuBackend.create(engine, 1);
afterAll(() => backend[Symbol.dispose]());

const [K, M, N, RANK, SCALE] = [64, 48, 5, 4, 0.5];
const random = new Random(2);
const normal = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal());
const values = { w: normal(K * M), a: normal(K * RANK), b: normal(RANK * M), x: normal(K * N), mix: normal(M * N) };

/** The sum of mix · (W x + s B A x) in double precision, and its gradient with respect to x. */
function reference(w: Float32Array, { a, b, x, mix }: typeof values) {
  const whole = Float64Array.from(w);
  for (let m = 0; m < M; m++)
    for (let r = 0; r < RANK; r++)
      for (let k = 0; k < K; k++) whole[m * K + k]! += SCALE * b[m * RANK + r]! * a[r * K + k]!;
  let sum = 0;
  const gradient = new Float64Array(K * N);
  for (let n = 0; n < N; n++)
    for (let m = 0; m < M; m++)
      for (let k = 0; k < K; k++) {
        sum += mix[n * M + m]! * whole[m * K + k]! * x[n * K + k]!;
        gradient[n * K + k]! += mix[n * M + m]! * whole[m * K + k]!;
      }
  return { sum, gradient };
}

function computed(type: "f32" | "q8_0", w: Uint8Array, products: ProductType) {
  using store = TensorStore.create(backend);
  using graph = Graph.create(backend, { products });
  const f = new Operations(graph);
  const matrix = store.declare("w", type, [K, M]);
  const [a, b] = adapterTensors([{ name: "w", shape: [K, M] }], RANK).map(({ name, shape }) =>
    store.declareTrained(name, shape),
  );
  const x = store.declareTrained("x", [K, N]);
  const mix = store.declare("mix", "f32", [M, N]);
  const seed = store.declare("seed", "f32", [1]);
  const parameters = new Map([matrix, a!, b!].map((tensor) => [tensor.name, tensor]));
  const sum = graph.keep(f.sum(f.mul(project(f, { adapterScale: SCALE }, parameters, "w", x), mix)));
  backpropagate(f, sum, seed);
  store.allocate();
  using _workspace = Workspace.place(backend, [graph]);
  store.write(matrix, w);
  for (const [tensor, data] of [
    [a!, values.a],
    [b!, values.b],
    [x, values.x],
    [mix, values.mix],
  ] as const)
    store.write(tensor, data);
  store.write(seed, Float32Array.of(1));
  graph.compute();
  return {
    sum: graph.read(sum)[0]!,
    a: store.read(a!.gradient!),
    b: store.read(b!.gradient!),
    x: store.read(x.gradient!),
  };
}

function distance(actual: Iterable<number>, expected: Iterable<number>): number {
  const [left, right] = [[...actual], [...expected]];
  const norm = (all: number[]): number => Math.hypot(...all);
  return norm(left.map((value, i) => value - right[i]!)) / norm(right);
}

/** Finite differences of a sum that is linear in each matrix are exact but for rounding. */
function differences(w: Float32Array, name: "a" | "b"): number[] {
  return Array.from(values[name], (_, i) => {
    const at = (step: number): number =>
      reference(w, { ...values, [name]: values[name].map((value, j) => (i === j ? value + step : value)) }).sum;
    return at(0.5) - at(-0.5);
  });
}

test("project() adds (α / rank) B A x, and its gradients are those of finite differences", () => {
  const result = computed("f32", new Uint8Array(values.w.buffer), "f32");
  const expected = reference(values.w, values);
  expect(Math.abs(result.sum - expected.sum)).toBeLessThan(1e-4 * Math.abs(expected.sum));
  expect(distance(result.x, expected.gradient)).toBeLessThan(1e-5);
  expect(distance(result.a, differences(values.w, "a"))).toBeLessThan(1e-5);
  expect(distance(result.b, differences(values.w, "b"))).toBeLessThan(1e-5);
});

test.each(["f32", "bf16"] as const)(
  "project() on a quantized matrix sends back what it decodes to, products in %s",
  (products) => {
    const bytes = quantizeRows(engine, "q8_0", values.w, K);
    const result = computed("q8_0", bytes, products);
    const expected = reference(dequantize(engine, "q8_0", bytes, K * M), values);
    expect(distance(result.x, expected.gradient)).toBeLessThan(products === "f32" ? 1e-5 : 1e-2);
  },
);
