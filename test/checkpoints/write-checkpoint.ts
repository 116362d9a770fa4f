// Writes a tiny checkpoint as transformers would: config.json, tokenizer, safetensors with weights from a seed.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type SafetensorsTensorSource, writeSafetensors } from "../../src/formats/safetensors/write.js";
import { toFloat16 } from "../../src/support/float16.js";
import { Random } from "../../src/support/random.js";
import { CASES, type CheckpointCase } from "./cases.js";
import { weightShapes } from "./weight-shapes.js";
import { writeTokenizer } from "./tokenizers.js";

/** Writes a checkpoint into `folder`, which is made. */
export async function writeCheckpoint(folder: string, checkpoint: CheckpointCase): Promise<void> {
  await mkdir(folder, { recursive: true });
  const put = (name: string, text: string) => writeFile(join(folder, name), text);
  await put("config.json", JSON.stringify(checkpoint.config));
  if (checkpoint.generation) await put("generation_config.json", JSON.stringify(checkpoint.generation));
  if (checkpoint.card) await put("README.md", checkpoint.card);
  await writeTokenizer(folder, checkpoint.tokenizer, checkpoint.template);
  const tensors = Object.entries(weightShapes(checkpoint.config)).map(([name, shape]) =>
    weight(name, shape, checkpoint),
  );
  await writeShards(folder, tensors, checkpoint.shards ?? 1);
}

/** The case of this name. */
export function caseOf(name: string): CheckpointCase {
  return CASES.find((one) => one.name === name)!;
}

async function writeShards(folder: string, tensors: SafetensorsTensorSource[], count: number): Promise<void> {
  if (count === 1) return void (await writeSafetensors(join(folder, "model.safetensors"), tensors));
  const nameOf = (shard: number) => `model-${pad(shard + 1)}-of-${pad(count)}.safetensors`;
  const places: Record<string, string> = {};
  for (const [index, { name }] of tensors.entries()) places[name] = nameOf(index % count);
  for (let shard = 0; shard < count; shard++) {
    const own = tensors.filter(({ name }) => places[name] === nameOf(shard));
    await writeSafetensors(join(folder, nameOf(shard)), own);
  }
  const index = { metadata: { total_size: 1 }, weight_map: places };
  await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
}

function pad(number: number): string {
  return String(number).padStart(5, "0");
}

/** Embeddings of some size, so that logits differ; norms around 1, or around 0 where the family stores them so. */
function weight(
  name: string,
  shape: readonly number[],
  { config, dtype = "F32" }: CheckpointCase,
): SafetensorsTensorSource {
  const random = new Random(7).fork(name);
  const isNorm = name.endsWith("norm.weight");
  const isGemma = String(config["model_type"]).startsWith("gemma");
  const center = isNorm && !isGemma ? 1 : 0;
  const embedding = isGemma ? 0.1 : 0.5; // Gemma's is scaled up
  const spread = isNorm ? 0.2 : name.includes("embed_tokens") ? embedding : 0.15;
  const count = shape.reduce((product, length) => product * length, 1);
  const values = Float32Array.from({ length: count }, () => center + spread * random.normal());
  return { name, dtype, shape, chunks: () => [encoded(values, dtype)] };
}

function encoded(values: Float32Array, dtype: "F32" | "F16" | "BF16"): Uint8Array {
  if (dtype === "F32") return new Uint8Array(values.buffer);
  const bits = new Uint32Array(values.buffer);
  const halves = dtype === "F16" ? Uint16Array.from(values, toFloat16) : Uint16Array.from(bits, (word) => word >>> 16);
  return new Uint8Array(halves.buffer);
}
