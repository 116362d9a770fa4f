import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { caseOf, writeCheckpoint } from "../../../test/checkpoints/write-checkpoint.js";
import { temporaryFolder } from "../../../test/command.js";
import { convert } from "../../convert/convert.js";
import { Metadata } from "../../formats/gguf/metadata.js";
import { readGguf } from "../../formats/gguf/read.js";
import { writeGguf } from "../../formats/gguf/write.js";
import { type SafetensorsFile, readSafetensors } from "../../formats/safetensors/read.js";
import { exportTransformers } from "./export-transformers.js";

const RANK = 2;
const folder = temporaryFolder();
const model = folder.path("model.gguf");
beforeAll(async () => {
  await writeCheckpoint(folder.path("hf"), caseOf("tiny-llama-150K-chat"));
  await convert({ input: folder.path("hf"), output: model });
});
afterAll(() => folder[Symbol.dispose]());

interface AdapterOptions {
  type?: string;
  architecture?: string;
  alpha?: number;
  /** Matrices with their inputs and outputs. */
  matrices: Record<string, [inputs: number, outputs: number]>;
}

/** An adapter whose B has in each row its row's number, and whose A counts. */
async function writeAdapter(name: string, options: AdapterOptions): Promise<string> {
  const { type = "adapter", architecture = "llama", alpha = 6, matrices } = options;
  const path = folder.path(name);
  const metadata = new Metadata()
    .set("general.architecture", "string", architecture)
    .set("general.type", "string", type)
    .set("adapter.type", "string", "lora")
    .set("adapter.lora.alpha", "float32", alpha);
  const tensor = (tensorName: string, shape: number[], values: Float32Array) => ({
    name: tensorName,
    shape,
    type: "f32" as const,
    chunks: () => [new Uint8Array(values.buffer)],
  });
  const tensors = Object.entries(matrices).flatMap(([matrix, [inputs, outputs]]) => [
    tensor(
      `${matrix}.lora_a`,
      [inputs, RANK],
      Float32Array.from({ length: inputs * RANK }, (_, i) => i),
    ),
    tensor(
      `${matrix}.lora_b`,
      [RANK, outputs],
      Float32Array.from({ length: outputs * RANK }, (_, i) => i >> 1),
    ),
  ]);
  await writeGguf(path, { metadata, tensors });
  return path;
}

async function floats(file: SafetensorsFile, name: string): Promise<Float32Array> {
  const tensor = file.tensors.get(name)!;
  const bytes = await file.read(tensor, 0, tensor.sizeBytes);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

test("exportTransformers() writes a LoRA adapter as PEFT, its rows where those of the matrices went", async () => {
  const matrices: AdapterOptions["matrices"] = { "blk.1.attn_q.weight": [64, 64], "blk.0.ffn_down.weight": [96, 64] };
  const adapter = await writeAdapter("lora.gguf", { matrices });
  const output = folder.path("out");
  await exportTransformers({ model, output, adapter, weights: "f32", parity: false });
  const config = JSON.parse(readFileSync(join(output, "adapter/adapter_config.json"), "utf8")) as object;
  const [query, down] = ["model.layers.1.self_attn.q_proj", "model.layers.0.mlp.down_proj"];
  expect(config).toMatchObject({ peft_type: "LORA", r: RANK, lora_alpha: 6, target_modules: [query, down] });
  await using written = await readSafetensors(join(output, "adapter/adapter_model.safetensors"));
  expect(await floats(written, `base_model.model.${down}.lora_A.weight`)).toEqual(
    Float32Array.from({ length: 192 }, (_, i) => i),
  );
  const rows = await floats(written, `base_model.model.${query}.lora_B.weight`);
  await using exported = await readSafetensors(join(output, "model.safetensors"));
  await using gguf = await readGguf(model);
  const bytes = await gguf.readTensor(gguf.tensors.find(({ name }) => name === "blk.1.attn_q.weight")!);
  const before = new Float32Array(bytes.buffer, bytes.byteOffset, 64 * 64);
  const after = await floats(exported, `${query}.weight`);
  for (let row = 0; row < 64; row++) {
    const source = rows[RANK * row]!; // the number of the row in the adapter
    expect(after.slice(64 * row, 64 * row + 64)).toEqual(before.slice(64 * source, 64 * source + 64));
  }
});

test.each<[what: string, options: AdapterOptions, message: RegExp]>([
  ["a model", { type: "model", matrices: {} }, /it is no LoRA adapter/],
  ["one of another family", { architecture: "qwen2", matrices: {} }, /it is for a qwen2 model/],
  [
    "an unknown matrix",
    { matrices: { "blk.7.attn_q.weight": [64, 64] } },
    /the model has no matrix "blk.7.attn_q.weight"/,
  ],
  [
    "another width",
    { matrices: { "blk.0.attn_q.weight": [32, 64] } },
    /is 64 × 64 in the model, and the adapter's is 32 × 64/,
  ],
])("exportTransformers() refuses %s as an adapter", async (what, options, message) => {
  const adapter = await writeAdapter(`${what}.gguf`, options);
  const request = { model, output: folder.path("refused"), adapter, parity: false };
  await expect(exportTransformers(request)).rejects.toThrow(message);
});
