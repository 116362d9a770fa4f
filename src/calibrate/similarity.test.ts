import { expect, test } from "vitest";

import type { TensorView } from "../native/observe.js";
import { SimilarityCollector } from "./similarity.js";

/** As much of a tensor as the collector looks at: rows of two columns. */
function tensor(name: string, ...values: number[]): TensorView {
  const floats = Float32Array.from(values);
  const shape = [2, values.length / 2, 1, 1] as const;
  return { name, type: "f32", shape, floats: () => floats } as unknown as TensorView;
}

function run(...tensors: TensorView[]) {
  const collector = new SimilarityCollector();
  for (const each of tensors) if (collector.wants(each)) collector.sees(each);
  return collector.result();
}

test("SimilarityCollector averages the cosine between each block's input and output over tokens", () => {
  const layers = run(tensor("embd", 1, 0, 1, 0), tensor("l_out-0", 5, 0, 0, 3), tensor("l_out-1", 5, 0, 3, 3));
  expect(layers).toEqual([
    { layer: 0, cosine: 0.5, blockInfluence: 0.5, tokens: 2 },
    {
      layer: 1,
      cosine: expect.closeTo((1 + Math.SQRT1_2) / 2, 12),
      blockInfluence: expect.closeTo((1 - Math.SQRT1_2) / 2, 12),
      tokens: 2,
    },
  ]);
});

test("SimilarityCollector goes on from graph to graph", () => {
  const graph = [tensor("embd", 1, 0), tensor("inp_scaled", 2, 0), tensor("ffn_out-0", 9, 9), tensor("l_out-0", 0, 1)];
  expect(run(...graph, ...graph)).toEqual([{ layer: 0, cosine: 0, blockInfluence: 1, tokens: 2 }]);
});

test("SimilarityCollector leaves out a block whose input it does not know", () => {
  expect(run(tensor("l_out-0", 1, 0), tensor("l_out-1", 1, 0)).map(({ layer }) => layer)).toEqual([1]);
});
