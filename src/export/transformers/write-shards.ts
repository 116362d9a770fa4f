// Weights as a checkpoint has them: one `model.safetensors`, or shards with an index where there are more than 5 GB.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { SAFETENSORS_DTYPES } from "../../formats/safetensors/dtypes.js";
import { type SafetensorsTensorSource, writeSafetensors } from "../../formats/safetensors/write.js";
import { writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";

/** What Hugging Face's own tools put into one file at most. */
const SHARD_BYTES = 5e9;
const WEIGHT_FILE = /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/;

/** Writes the weights, and removes those of another export. @returns bytes of all files */
export async function writeShards(
  folder: string,
  tensors: readonly SafetensorsTensorSource[],
  options: RunOptions & { shardBytes?: number } = {},
): Promise<number> {
  const shards = divided(tensors, options.shardBytes ?? SHARD_BYTES);
  const nameOf = (index: number) =>
    shards.length === 1 ? "model.safetensors" : `model-${padded(index + 1)}-of-${padded(shards.length)}.safetensors`;
  const names = new Set(shards.map((_, index) => nameOf(index)));
  let total = 0;
  const places: Record<string, string> = {};
  for (const [index, shard] of shards.entries()) {
    total += (await writeSafetensors(join(folder, nameOf(index)), shard, options)).sizeBytes;
    for (const { name } of shard) places[name] = nameOf(index);
  }
  if (shards.length > 1) {
    const index = {
      metadata: { total_size: tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0) },
      weight_map: places,
    };
    await writeFileAtomic(join(folder, "model.safetensors.index.json"), `${JSON.stringify(index, null, 2)}\n`);
    names.add("model.safetensors.index.json");
  }
  const others = (await readdir(folder)).filter((name) => WEIGHT_FILE.test(name) && !names.has(name));
  for (const name of others) await rm(join(folder, name));
  return total;
}

function divided(tensors: readonly SafetensorsTensorSource[], bytesMax: number): SafetensorsTensorSource[][] {
  const shards: SafetensorsTensorSource[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    const size = sizeOf(tensor);
    if (filled > 0 && filled + size > bytesMax) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(tensor);
    filled += size;
  }
  return shards;
}

function sizeOf({ dtype, shape }: SafetensorsTensorSource): number {
  return shape.reduce((product, length) => product * length, SAFETENSORS_DTYPES[dtype]);
}

function padded(number: number): string {
  return String(number).padStart(5, "0");
}
