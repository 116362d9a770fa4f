// The loss against a teacher's lists, held to its formula in double precision.
import { afterAll, expect, test } from "vitest";

import { Graph } from "../../graph/graph.js";
import { Operations } from "../../graph/operations.js";
import { TensorStore } from "../../graph/store.js";
import { declareBatch } from "../../graph/token-batch.js";
import { Workspace } from "../../graph/workspace.js";
import { loadEngine } from "../../native/engine.js";
import { CpuBackend } from "../../native/matmul.js";
import { Random } from "../../support/random.js";
import type { TaughtSequence } from "./taught-text.js";
import { DIVERGENCES, type Divergence, teacherObjective } from "./teacher-objective.js";

const backend = CpuBackend.create(loadEngine(), 1);
afterAll(() => backend[Symbol.dispose]());

const VOCABULARY = 9;
const TOP = 3;
const LENGTH = 2;
const random = new Random(4);
const LOGITS = Float32Array.from({ length: VOCABULARY * LENGTH }, () => 2 * random.normal());
const LISTS = [
  { ids: [4, 0, 7], probabilities: [0.5, 0.3, 0.1], rest: 0.1 },
  { ids: [8, 2, 1], probabilities: [0.9, 0.05, 0.05], rest: 0 },
];
const TARGETS = [4, 3];

const sequence: TaughtSequence = {
  tokens: Int32Array.of(1, 4),
  documents: new Int32Array(LENGTH),
  targets: Int32Array.from(TARGETS),
  weights: Float32Array.of(0.25, 0.75),
  index: 0,
  source: {
    opinions: () => ({
      ids: Uint32Array.from(LISTS.flatMap(({ ids }) => ids)),
      probabilities: Float32Array.from(LISTS.flatMap(({ probabilities }) => probabilities)),
      rests: Float32Array.from(LISTS, ({ rest }) => rest),
      nats: new Float32Array(LENGTH),
    }),
  } as unknown as TaughtSequence["source"],
};

function lossOf(divergence: Divergence, temperature: number, labels: number): number {
  using store = TensorStore.create(backend);
  using graph = Graph.create(backend);
  const f = new Operations(graph);
  const size = { sequences: 1, length: LENGTH, vocabulary: VOCABULARY, windows: [undefined] };
  const inputs = declareBatch(store, size);
  const logits = store.declareTrained("logits", [VOCABULARY, LENGTH]);
  const objective = teacherObjective({ divergence, temperature, labels, top: TOP })(store, inputs);
  const loss = graph.keep(objective.loss(f, { logits, states: logits }));
  store.allocate();
  using _workspace = Workspace.place(backend, [graph]);
  store.write(logits, LOGITS);
  store.write(
    inputs.targets.indices,
    Int32Array.from(TARGETS, (token, row) => row * VOCABULARY + token),
  );
  store.write(inputs.targets.shares, sequence.weights);
  store.write(inputs.targets.weights, sequence.weights);
  const batch = [sequence];
  objective.feed(batch, 1);
  graph.compute();
  return graph.read(loss)[0]!;
}

function softmax(row: number, temperature: number): number[] {
  const logits = [...LOGITS.subarray(row * VOCABULARY, (row + 1) * VOCABULARY)].map((x) => Math.exp(x / temperature));
  const sum = logits.reduce((a, b) => a + b, 0);
  return logits.map((x) => x / sum);
}

/** Over the list and all others as one. */
function reference(divergence: Divergence, temperature: number, labels: number): number {
  const kl = (a: number[], b: number[]): number =>
    a.reduce((sum, x, i) => sum + (x === 0 ? 0 : x * Math.log(x / b[i]!)), 0);
  return LISTS.reduce((sum, { ids, probabilities, rest }, row) => {
    const all = softmax(row, temperature);
    const chosen = ids.map((id) => all[id]!);
    const q = [...chosen, 1 - chosen.reduce((a, b) => a + b, 0)];
    const p = [...probabilities, rest];
    const middle = p.map((x, i) => (x + q[i]!) / 2);
    const distance = {
      "forward-kl": kl(p, q),
      // Where the teacher has nothing, its probability counts as what rounding leaves.
      "reverse-kl": kl(q, rest === 0 ? [...probabilities, 1e-6] : p),
      "jensen-shannon": (kl(p, middle) + kl(q, middle)) / 2,
    }[divergence];
    const onLabel = -Math.log(softmax(row, 1)[TARGETS[row]!]!);
    return sum + sequence.weights[row]! * ((1 - labels) * temperature ** 2 * distance + labels * onLabel);
  }, 0);
}

test.each(
  DIVERGENCES.flatMap((name) => [1, 2.5].flatMap((t) => [0, 0.3, 1].map((labels) => [name, t, labels] as const))),
)("the loss %s at temperature %f with %f of labels is its formula to 1e-4", (divergence, temperature, labels) => {
  const wanted = reference(divergence, temperature, labels);
  expect(Math.abs(lossOf(divergence, temperature, labels) / wanted - 1)).toBeLessThan(1e-4);
});
