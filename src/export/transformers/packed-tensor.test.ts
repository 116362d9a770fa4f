import { expect, test } from "vitest";

import { loadGgml } from "../../native/engine.js";
import { dequantize, quantizeRows } from "../../native/ggml.js";
import { fromFloat16 } from "../../support/float16.js";
import { Random } from "../../support/random.js";
import { packedBits, packedTensors } from "./packed-tensor.js";

const [ROWS, COLUMNS] = [3, 96];

/** What compressed-tensors makes of the tensors: a code less half its range, times its group's scale. */
async function unpacked(tensors: ReturnType<typeof packedTensors>, bits: number): Promise<Float32Array> {
  const [words, scales] = await Promise.all(tensors.map((tensor) => bytesOf(tensor.chunks())));
  const halves = new Uint16Array(scales!.buffer, scales!.byteOffset, scales!.byteLength / 2);
  const packed = new Uint32Array(words!.buffer, words!.byteOffset, words!.byteLength / 4);
  return Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => {
    const code = (packed[Math.floor((i * bits) / 32)]! >>> ((i * bits) % 32)) & (2 ** bits - 1);
    return fromFloat16(halves[Math.floor(i / 32)]!) * (code - 2 ** (bits - 1));
  });
}

async function bytesOf(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of chunks) pieces.push(piece);
  return Uint8Array.from(Buffer.concat(pieces));
}

test.each(["q4_0", "q5_0", "q8_0", "iq4_nl"] as const)("packedTensors() holds %s to the last bit", async (type) => {
  const random = new Random(3);
  const values = Float32Array.from({ length: ROWS * COLUMNS }, () => random.normal());
  const bytes = quantizeRows(loadGgml(), type, values, COLUMNS);
  const source = {
    name: "blk.0.ffn_up.weight",
    shape: [COLUMNS, ROWS],
    type,
    sizeBytes: bytes.byteLength,
    readRows: () => Promise.resolve(bytes),
  };
  const rowBytes = bytes.byteLength / ROWS;
  async function* slabs() {
    yield bytes.subarray(0, 2 * rowBytes);
    yield bytes.subarray(2 * rowBytes);
  }
  const ordered = { rows: ROWS, columns: COLUMNS, rowBytes, slabs };
  const tensors = packedTensors({ name: "up_proj.weight", source, rule: { to: source.name } }, ordered);
  expect(tensors.map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
    ["up_proj.weight_packed", "I32", [ROWS, (COLUMNS * packedBits(type)!) / 32]],
    ["up_proj.weight_scale", "F16", [ROWS, COLUMNS / 32]],
    ["up_proj.weight_shape", "I64", [2]],
  ]);
  const wanted = dequantize(loadGgml(), type, bytes, ROWS * COLUMNS);
  expect(await unpacked(tensors, packedBits(type)!)).toEqual(wanted);
});

test("packedBits() knows no type whose blocks are more than a scale times whole numbers", () => {
  for (const type of ["q4_1", "q5_1", "q4_K", "q6_K", "iq4_xs", "mxfp4", "f16"] as const) {
    expect(packedBits(type)).toBeUndefined();
  }
});
