// What a narrower student keeps: parts that do nothing are the first to go, and without them nothing changes.
import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { llamaShape } from "../../graph/llama.js";
import type { LazyTensor, Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { saveModel } from "../../model/save.js";
import { loadEngine } from "../../native/engine.js";
import { LlamaContext } from "../../native/llama-context.js";
import { LlamaModel } from "../../native/llama-model.js";
import { narrowed } from "./narrow.js";

const folder = temporaryFolder();
const path = folder.path("model.gguf");
beforeAll(() => writeSyntheticModel(path, { width: 32, feedForward: 48, vocabulary: 420, kvHeads: 2 }));
afterAll(() => folder[Symbol.dispose]());

/** The model with some rows and columns set to 0. */
function silenced(
  model: Model,
  isSilent: (name: string, row: number, column: number) => boolean,
): Pick<Model, "metadata" | "tensors"> {
  const change = (tensor: LazyTensor): LazyTensor => ({
    ...tensor,
    async readRows(start, count) {
      const values = new Float32Array((await tensor.readRows(start, count)).slice().buffer);
      const length = tensor.shape[0]!;
      return new Uint8Array(
        values.map((value, i) => (isSilent(tensor.name, start + Math.floor(i / length), i % length) ? 0 : value))
          .buffer,
      );
    },
  });
  return {
    metadata: model.metadata,
    tensors: new Map([...model.tensors].map(([name, tensor]) => [name, change(tensor)])),
  };
}

function logitsOf(file: string): Float32Array {
  using model = LlamaModel.load(loadEngine(), file);
  using context = LlamaContext.create(model, {
    contextLength: 32,
    threads: 1,
    flashAttention: "off",
    typeK: "f32",
    typeV: "f32",
  });
  const batch = context.newBatch(32);
  [1, 300, 17, 42, 401].forEach((token, i) => batch.add(token, i, 0, true));
  context.decode(batch);
  return context.logitsAll(5).slice();
}

test("narrowed() takes out neurons and heads whose weights are 0, and logits stay to 1e-5", async () => {
  await using model = await openModel(path);
  const shape = llamaShape(model);
  // Of 48 neurons every third, and the second of two groups of heads (headLength 8, two queries each).
  const full = silenced(model, (name, row, column) => {
    if (/ffn_(gate|up)/.test(name)) return row % 3 === 0;
    if (name.includes("ffn_down")) return column % 3 === 0;
    if (/attn_[kv]\./.test(name)) return row >= 8;
    if (name.includes("attn_q.")) return row >= 16;
    return name.includes("attn_output") && column >= 16;
  });
  await saveModel(full, folder.path("full.gguf"));
  await using open = await openModel(folder.path("full.gguf"));
  await saveModel(await narrowed(loadEngine(), open, shape, { heads: 2, feedForward: 32 }), folder.path("narrow.gguf"));
  await using narrow = await openModel(folder.path("narrow.gguf"));
  expect(llamaShape(narrow)).toMatchObject({ width: 32, heads: 2, kvHeads: 1, headLength: 8, feedForward: 32 });
  const [a, b] = [logitsOf(folder.path("full.gguf")), logitsOf(folder.path("narrow.gguf"))];
  const largest = Math.max(...a.map(Math.abs));
  a.forEach((value, i) => expect(Math.abs(value - b[i]!)).toBeLessThan(1e-5 * largest));
});

test("narrowed() keeps the channels that weigh most, the same in every layer", async () => {
  await using model = await openModel(path);
  const shape = llamaShape(model);
  const isGone = (channel: number): boolean => channel % 4 === 1;
  const full = silenced(model, (name, row, column) => {
    const writes = /attn_output|ffn_down/.test(name);
    return !name.endsWith("norm.weight") && isGone(writes ? row : column);
  });
  const { tensors } = await narrowed(loadEngine(), full, shape, { width: 24 });
  const kept = Array.from({ length: 32 }, (_, channel) => channel).filter((channel) => !isGone(channel));
  const rows = async (from: ReadonlyMap<string, LazyTensor>, name: string, row: number): Promise<Float32Array> =>
    new Float32Array((await from.get(name)!.readRows(row, 1)).slice().buffer);
  for (const name of ["token_embd.weight", "blk.0.attn_q.weight", "blk.1.ffn_up.weight"]) {
    const whole = await rows(full.tensors, name, 5);
    expect(await rows(tensors, name, 5)).toEqual(Float32Array.from(kept, (channel) => whole[channel]!));
  }
});
