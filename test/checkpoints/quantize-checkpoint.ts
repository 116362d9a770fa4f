// A checkpoint's linear layers as GPTQ stores them (4 bits around the middle, groups of 32), and its twin with the same values as floats.
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { readSafetensors } from "../../src/formats/safetensors/read.js";
import { type SafetensorsTensorSource, writeSafetensors } from "../../src/formats/safetensors/write.js";
import { fromFloat16, toFloat16 } from "../../src/support/float16.js";

const GROUP = 32;
const QUANTIZATION = { quant_method: "gptq", bits: 4, group_size: GROUP, sym: true, desc_act: false };

/** Writes both beside the checkpoint `from`, which holds single precision. */
export async function quantizeCheckpoint(from: string, to: { gptq: string; plain: string }): Promise<void> {
  const gptq: SafetensorsTensorSource[] = [];
  const plain: SafetensorsTensorSource[] = [];
  await using file = await readSafetensors(join(from, "model.safetensors"));
  for (const { name, shape, sizeBytes, ...rest } of file.tensors.values()) {
    const bytes = await file.read({ name, shape, sizeBytes, ...rest }, 0, sizeBytes);
    const values = new Float32Array(Uint8Array.from(bytes).buffer);
    const isLinear = name.endsWith("_proj.weight");
    const packed = isLinear ? packGptq(name.replace(/\.weight$/, ""), values, shape as [number, number]) : undefined;
    gptq.push(...(packed?.tensors ?? [source(name, "F32", shape, values)]));
    plain.push(source(name, "F32", shape, packed?.values ?? values));
  }
  for (const [folder, tensors] of [
    [to.gptq, gptq],
    [to.plain, plain],
  ] as const) {
    await mkdir(folder, { recursive: true });
    await cp(from, folder, { recursive: true });
    await writeSafetensors(join(folder, "model.safetensors"), tensors);
  }
  const config = JSON.parse(await readFile(join(from, "config.json"), "utf8")) as object;
  await writeFile(join(to.gptq, "config.json"), JSON.stringify({ ...config, quantization_config: QUANTIZATION }));
}

function packGptq(layer: string, values: Float32Array, [rows, columns]: [number, number]) {
  const groups = columns / GROUP;
  const scales = new Uint16Array(groups * rows);
  const words = new Uint32Array((columns / 8) * rows);
  const zeros = new Uint32Array(groups * (rows / 8)).fill(0x77777777); // 8, less one
  const restored = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const start = row * columns + group * GROUP;
      const largest = Math.max(...values.subarray(start, start + GROUP).map(Math.abs));
      const bits = (scales[group * rows + row] = toFloat16(largest / 7));
      for (let i = 0; i < GROUP; i++) {
        const code = Math.max(0, Math.min(15, Math.round(values[start + i]! / fromFloat16(bits)) + 8));
        const column = group * GROUP + i;
        words[(column >> 3) * rows + row]! |= code << (4 * (column & 7));
        restored[start + i] = fromFloat16(bits) * (code - 8);
      }
    }
  }
  const tensors = [
    source(`${layer}.qweight`, "I32", [columns / 8, rows], words),
    source(`${layer}.qzeros`, "I32", [groups, rows / 8], zeros),
    source(`${layer}.scales`, "F16", [groups, rows], scales),
  ];
  return { tensors, values: restored };
}

function source(
  name: string,
  dtype: SafetensorsTensorSource["dtype"],
  shape: readonly number[],
  values: Float32Array | Uint32Array | Uint16Array,
): SafetensorsTensorSource {
  return { name, dtype, shape, chunks: () => [new Uint8Array(values.buffer)] };
}
