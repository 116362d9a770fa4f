// A real model as Hugging Face files, converted: minimind2-small, whose tokenizer and configuration lie beside the checkout
// as published, and whose weights are put back under their names from the GGUF file that there is of them.
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { convert } from "../src/convert/convert.js";
import { llama } from "../src/convert/families/llama.js";
import { readGguf } from "../src/formats/gguf/read.js";
import { writeSafetensors } from "../src/formats/safetensors/write.js";
import { loadEngine } from "../src/native/engine.js";
import { LlamaModel } from "../src/native/llama-model.js";
import { temporaryFolder } from "./command.js";
import { sharedModel } from "./shared.js";

const model = sharedModel("minimind2-small-f16.gguf");
const files = sharedModel("minimind2-small-hf");

/** Names in a checkpoint by those in GGUF, `{layer}` in both. */
const NAMES = new Map(
  Object.entries(llama.tensors).map(([name, rule]) => [typeof rule === "string" ? rule : rule.to, name]),
);

/** Rows 0, half, 1, half + 1, … of a head back in order. */
function apart(bytes: Uint8Array, rows: number, headRows: number): Uint8Array {
  const size = bytes.byteLength / rows;
  const result = new Uint8Array(bytes.byteLength);
  for (let row = 0; row < rows; row++) {
    const inHead = row % headRows;
    const to = row - inHead + (inHead >> 1) + (inHead % 2) * (headRows / 2);
    result.set(bytes.subarray(row * size, (row + 1) * size), to * size);
  }
  return result;
}

test.skipIf(!model || !files)(
  "convert() makes of minimind2's files the tensors and tokens of its GGUF file",
  async () => {
    using folder = temporaryFolder();
    const input = folder.path("MiniMind2-Small");
    mkdirSync(input);
    for (const name of readdirSync(files!)) copyFileSync(join(files!, name), join(input, name));
    await using gguf = await readGguf(model!);
    const tensors = gguf.tensors.map((tensor) => {
      const layer = /\d+/.exec(tensor.name)?.[0] ?? "";
      const name = NAMES.get(tensor.name.replace(/\d+/, "{layer}"))!.replace("{layer}", layer);
      const isRotated = /attn_[qk]\./.test(tensor.name);
      const read = async () => {
        const bytes = await gguf.readTensor(tensor);
        return isRotated ? apart(bytes, tensor.shape[1]!, 64) : bytes;
      };
      const chunks = async function* () {
        yield await read();
      };
      return {
        name,
        dtype: tensor.type === "f16" ? ("F16" as const) : ("F32" as const),
        shape: tensor.shape.toReversed(),
        chunks,
      };
    });
    await writeSafetensors(join(input, "model.safetensors"), tensors);
    const output = folder.path("minimind.gguf");
    const { name, type } = await convert({ input, output });
    expect([name, type]).toEqual(["MiniMind2 Small", "f16"]);
    await using converted = await readGguf(output);
    expect(converted.tensors.map((tensor) => tensor.name).sort()).toEqual(
      gguf.tensors.map((tensor) => tensor.name).sort(),
    );
    for (const tensor of gguf.tensors) {
      const [found, wanted] = [await converted.readTensor(tensor.name), await gguf.readTensor(tensor)];
      expect(Buffer.from(found).equals(wanted), tensor.name).toBe(true);
    }
    for (const key of ["tokens", "token_type", "merges"]) {
      const [found, wanted] = [converted, gguf].map(({ metadata }) =>
        metadata.array(`tokenizer.ggml.${key}`)!.values(),
      );
      expect(found!.join("\n"), key).toBe(wanted!.join("\n"));
    }
    using engine = LlamaModel.load(loadEngine(), output, { vocabOnly: true });
    using reference = LlamaModel.load(loadEngine(), model!, { vocabOnly: true });
    const text = "<|im_start|>user\nWhy is the sky blue? 天空为什么是蓝色的？<|im_end|>";
    expect(engine.tokenize(text, { parseSpecial: true })).toEqual(reference.tokenize(text, { parseSpecial: true }));
    expect(engine.chatTemplate).toBe(reference.chatTemplate);
  },
);
