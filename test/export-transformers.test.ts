// Checkpoints that were converted and exported again: the tensors are those of the original, `convert` makes the same model
// of both, and transformers gives the logits of the original.
import { readFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { convert } from "../src/convert/convert.js";
import { exportTransformers } from "../src/export/transformers/export-transformers.js";
import { PARITY_TEXT } from "../src/export/parity/parity-text.js";
import { readGguf } from "../src/formats/gguf/read.js";
import { type Weights, openWeights } from "../src/formats/huggingface/open-weights.js";
import { loadEngine } from "../src/native/engine.js";
import { LlamaModel } from "../src/native/llama-model.js";
import { fromFloat16 } from "../src/support/float16.js";
import { CASES } from "./checkpoints/cases.js";
import { writeCheckpoint } from "./checkpoints/write-checkpoint.js";
import { temporaryFolder } from "./command.js";
import { PYTHON, type TransformersView, transformersViews } from "./transformers.js";

const NAMES = CASES.map(({ name }) => name);
const golden = JSON.parse(readFileSync(new URL("golden/convert.json", import.meta.url), "utf8")) as {
  checkpoints: Record<string, { logits: number[][] }>;
};
const folder = temporaryFolder();
const original = (name: string) => folder.path(`original-${name}`);
const model = (name: string) => folder.path(`${name}.gguf`);
const exported = (name: string) => folder.path(name);

beforeAll(async () => {
  for (const one of CASES) {
    await writeCheckpoint(original(one.name), one);
    await convert({ input: original(one.name), output: model(one.name), type: "f32" });
    await exportTransformers({ model: model(one.name), output: exported(one.name), weights: "f32", parity: false });
  }
}, 180_000);
afterAll(() => folder[Symbol.dispose]());

test.each(NAMES)("exportTransformers() gives the tensors of %s back", async (name) => {
  await using before = await openWeights(original(name));
  await using after = await openWeights(exported(name));
  expect([...after.tensors.keys()].sort()).toEqual([...before.tensors.keys()].sort());
  // A norm that is stored around 0 and kept around 1 has been rounded on the way there.
  const tolerance = name.startsWith("gemma") ? 2 ** -23 : 0;
  for (const tensor of before.tensors.keys()) {
    const [wanted, found] = [await valuesOf(before, tensor), await valuesOf(after, tensor)];
    const furthest = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0);
    expect({ tensor, furthest }).toEqual({ tensor, furthest: furthest <= tolerance ? furthest : tolerance });
  }
});

// What may differ: what the checkpoint's name and card say, ranks of merges in place of scores; and in Phi-3, whose added
// tokens are taken as they are marked, that "<unk>" is marked as special.
const OTHERWISE = (name: string) =>
  name.startsWith("phi-3") ? /^general\.|ggml\.(scores|token_type)$/ : /^general\.|ggml\.scores$/;

test.each(NAMES)("convert() makes of the export of %s the model that it came from", async (name) => {
  const again = folder.path(`again-${name}.gguf`);
  await convert({ input: exported(name), output: again, type: "f32" });
  await using before = await readGguf(model(name));
  await using after = await readGguf(again);
  for (const tensor of before.tensors) {
    const twin = after.tensors.find((one) => one.name === tensor.name)!;
    expect(Buffer.from(await after.readTensor(twin)).equals(Buffer.from(await before.readTensor(tensor)))).toBe(true);
  }
  const entries = [...before.metadata.entries()].filter(({ key }) => !OTHERWISE(name).test(key));
  for (const { key, encoded } of entries) {
    const found = [...after.metadata.entries()].find((entry) => entry.key === key);
    expect({ key, value: found && Buffer.from(found.encoded).equals(Buffer.from(encoded)) }).toEqual({
      key,
      value: true,
    });
  }
});

describe.skipIf(PYTHON === undefined)("in transformers", () => {
  let views: Record<string, TransformersView>;
  const texts = [PARITY_TEXT, "the little girl was once  eating", "a\n\tb"];
  beforeAll(() => {
    views = transformersViews(NAMES.map(exported), texts);
  }, 180_000);

  test.each(NAMES)("the export of %s gives the original's logits within 1e-3", (name) => {
    const { unloaded, logits } = views[name]!;
    expect(unloaded).toEqual([]);
    const wanted = golden.checkpoints[name]!.logits;
    const differences = wanted.flatMap((row, i) => row.map((value, j) => Math.abs(value - logits[i]![j]!)));
    expect(Math.max(...differences)).toBeLessThan(1e-3);
  });

  test.each(NAMES)("the tokenizer of the export of %s gives llama.cpp's tokens", (name) => {
    using llama = LlamaModel.load(loadEngine(), model(name), { vocabOnly: true });
    const wanted = texts.map((text) => [...llama.tokenize(text, { addSpecial: true })]);
    expect(views[name]!.tokens).toEqual(wanted);
  });
});

/** A tensor's values as numbers. */
async function valuesOf({ tensors }: Weights, name: string): Promise<Float32Array> {
  const weight = tensors.get(name)!;
  const bytes = await weight.read(0, weight.sizeBytes);
  if (weight.dtype === "F32") return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  if (weight.dtype === "F16") return Float32Array.from(halves, fromFloat16);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}
