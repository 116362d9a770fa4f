// Forward parity with llama.cpp on real models: both sides with F32 weights, the KV cache in F32, flash attention off. One more
// model is taken by its path: PARE_PARITY_MODEL=model.gguf npx vitest run src/graph/parity.test.ts
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { writeSyntheticModel } from "../../test/synthetic-model.js";
import { openModel } from "../model/open.js";
import { saveModel } from "../model/save.js";
import { loadEngine } from "../native/engine.js";
import { LlamaContext } from "../native/llama-context.js";
import { LlamaModel } from "../native/llama-model.js";
import { CpuBackend } from "../native/matmul.js";
import { Graph } from "./graph.js";
import { llamaLogits, llamaShape, llamaTensors } from "./llama.js";
import { Operations } from "./operations.js";
import { declareParameters, readParameters, writtenParameters } from "./parameters.js";
import { TensorStore } from "./store.js";
import { declareBatch, fillBatch } from "./token-batch.js";
import { Workspace } from "./workspace.js";

const backend = CpuBackend.create(loadEngine(), 1);
const folder = mkdtempSync(join(tmpdir(), "pare-parity-"));
const synthetic = join(folder, "synthetic.gguf");
beforeAll(() => writeSyntheticModel(synthetic, { kvHeads: 2, type: "f16", vocabulary: 600 }));
afterAll(() => {
  backend[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const LENGTH = 48;

const MODELS = {
  "a synthetic model": () => synthetic,
  stories260K: () => sharedModel("stories260K-f32.gguf"),
  stories15M: () => sharedModel("stories15M-f16.gguf"),
  "minimind2-small": () => sharedModel("minimind2-small-f16.gguf"),
  PARE_PARITY_MODEL: () => process.env["PARE_PARITY_MODEL"],
};

for (const [name, path] of Object.entries(MODELS)) {
  test.skipIf(!path())(
    `logits of ${name} are within 1e-3 of llama.cpp's, and what is saved is what was read`,
    async ({ annotate }) => {
      await using model = await openModel(path()!);
      const shape = llamaShape(model);
      using store = TensorStore.create(backend);
      using graph = Graph.create(backend);
      const f = new Operations(graph);
      const parameters = declareParameters(store, llamaTensors(shape), { isTrained: () => false });
      const inputs = declareBatch(store, { sequences: 1, length: LENGTH, ...shape });
      const logits = graph.keep(llamaLogits(f, shape, parameters, inputs));
      store.allocate();
      await readParameters(store, parameters, model);
      using _workspace = Workspace.place(backend, [graph]);
      const full = join(folder, "f32.gguf");
      await saveModel({ metadata: model.metadata, tensors: writtenParameters(store, parameters, "f32") }, full);

      const tokens = Int32Array.from({ length: LENGTH }, (_, i) => (i === 0 ? 1 : (i * 7919 + 13) % shape.vocabulary));
      const zeros = new Int32Array(LENGTH);
      fillBatch(store, inputs, [{ tokens, documents: zeros, targets: zeros, weights: new Float32Array(LENGTH) }], 1);
      graph.compute();
      const apart = distance(graph.read(logits), logitsOfEngine(full, tokens));
      await annotate(`relative distance ${apart.toExponential(1)}`);
      expect(apart).toBeLessThan(1e-3);
    },
  );
}

/** [vocabulary × tokens] */
function logitsOfEngine(path: string, tokens: Int32Array): Float32Array {
  using model = LlamaModel.load(backend.engine, path);
  using context = LlamaContext.create(model, {
    contextLength: 64,
    threads: 1,
    flashAttention: "off",
    typeK: "f32",
    typeV: "f32",
  });
  const batch = context.newBatch(64);
  tokens.forEach((token, position) => batch.add(token, position, 0, true));
  context.decode(batch);
  return context.logitsAll(tokens.length).slice();
}

/** Norm of the difference over the norm. */
function distance(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    size += b[i]! ** 2;
  }
  return Math.sqrt(difference / size);
}
