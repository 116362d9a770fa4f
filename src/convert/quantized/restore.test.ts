// Layers that other programs packed (scripts/convert-golden/quantized.py) have the values that they had there, to the last bit.
import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { Config } from "../../formats/huggingface/config.js";
import type { JsonObject } from "../../formats/huggingface/json-file.js";
import type { Weight } from "../../formats/huggingface/open-weights.js";
import { loadGgml } from "../../native/engine.js";
import { dequantize } from "../../native/ggml.js";
import { restoreWeights } from "./restore.js";

interface StoredTensor {
  dtype: string;
  shape: number[];
  data: string;
}
interface Golden {
  name: string;
  config: JsonObject;
  tensors: Record<string, StoredTensor>;
  values: StoredTensor;
}

const path = new URL("../../../test/golden/quantized.json", import.meta.url);
const LAYERS = JSON.parse(readFileSync(path, "utf8")) as Golden[];
const named = (name: string): Golden => LAYERS.find((one) => one.name === name)!;

function weightsOf({ tensors }: Pick<Golden, "tensors">): Map<string, Weight> {
  return new Map(
    Object.entries(tensors).map(([suffix, { dtype, shape, data }]) => {
      const bytes = Uint8Array.from(Buffer.from(data, "base64"));
      const name = `layer.${suffix}`;
      const read: Weight["read"] = async (start, length, into = new Uint8Array(length)) => {
        into.set(bytes.subarray(start, start + length));
        return into;
      };
      return [name, { name, dtype, shape, sizeBytes: bytes.byteLength, file: { path: "model.safetensors" }, read }];
    }),
  );
}

const restore = (golden: Pick<Golden, "tensors" | "config">): Promise<ReadonlyMap<string, Weight>> =>
  restoreWeights(weightsOf(golden), new Config("config.json", { quantization_config: golden.config }));

/** The type that holds each exactly: blocks where codes lie around the middle, scales are halves and neighbours share them. */
const DTYPES: Record<string, string> = {
  "GPTQ, 4 bits, symmetric": "Q4_0",
  "GPTQ, 4 bits, symmetric, second format": "Q4_0",
  "GPTQ, 8 bits, symmetric": "Q8_0",
  "compressed-tensors, 4 bits, symmetric": "Q4_0",
  "compressed-tensors, 4 bits, symmetric, bf16 scales": "Q4_0",
  "compressed-tensors, 8 bits in bytes": "Q8_0",
};

test.each(LAYERS.map((golden) => [golden.name, golden] as const))("%s: values and type", async (name, golden) => {
  const weights = await restore(golden);
  expect([...weights.keys()]).toEqual(["layer.weight"]);
  const weight = weights.get("layer.weight")!;
  expect(weight.shape).toEqual(golden.values.shape);
  expect(weight.dtype).toBe(DTYPES[name] ?? "F32");
  const count = weight.shape[0]! * weight.shape[1]!;
  const bytes = await weight.read(0, weight.sizeBytes);
  const floats =
    weight.dtype === "F32"
      ? new Float32Array(bytes.buffer)
      : dequantize(loadGgml(), weight.dtype.toLowerCase() as "q4_0", bytes, count);
  const wanted = new Float32Array(Uint8Array.from(Buffer.from(golden.values.data, "base64")).buffer);
  expect(Array.from(floats, (value) => value + 0)).toEqual(Array.from(wanted, (value) => value + 0)); // -0 is 0
});

test("a weight is the same read at once and row by row", async () => {
  for (const name of ["GPTQ, 4 bits, symmetric", "AWQ"]) {
    const weight = (await restore(named(name))).get("layer.weight")!;
    const whole = await weight.read(0, weight.sizeBytes);
    const rowBytes = weight.sizeBytes / weight.shape[0]!;
    for (let row = 0; row < weight.shape[0]!; row++) {
      const part = await weight.read(row * rowBytes, rowBytes);
      expect(Buffer.from(part).equals(whole.subarray(row * rowBytes, (row + 1) * rowBytes))).toBe(true);
    }
  }
});

test("weights that are not quantized stay what they are", async () => {
  const plain: StoredTensor = {
    dtype: "F32",
    shape: [1],
    data: Buffer.from(new Float32Array([1]).buffer).toString("base64"),
  };
  const golden = named("compressed-tensors, 8 bits in bytes");
  const weights = await restore({ ...golden, tensors: { ...golden.tensors, "norm.weight": plain, bias: plain } });
  expect([...weights.keys()].sort()).toEqual(["layer.bias", "layer.norm.weight", "layer.weight"]);
  expect(weights.get("layer.norm.weight")!.dtype).toBe("F32");
});

/** A layer's values by row and column, as floats. */
async function valuesOf(golden: Pick<Golden, "tensors" | "config">): Promise<Float32Array> {
  const weight = (await restore(golden)).get("layer.weight")!;
  const bytes = await weight.read(0, weight.sizeBytes);
  if (weight.dtype === "F32") return new Float32Array(bytes.buffer);
  return dequantize(loadGgml(), weight.dtype.toLowerCase() as "q4_0", bytes, weight.shape[0]! * weight.shape[1]!);
}

// 64 columns in two groups, of 48 and 16: the second half's first columns have the first group's scale and zero point.
test.each(["GPTQ, 4 bits, symmetric", "AWQ", "compressed-tensors, 4 bits, with zero points"])(
  "%s: a last group that is shorter begins where the config's group_size says",
  async (name) => {
    const golden = structuredClone(named(name));
    delete golden.tensors["g_idx"];
    const even = await valuesOf(golden);
    const { config_groups: groups } = golden.config as { config_groups?: { group_0: { weights: object } } };
    Object.assign(groups?.group_0.weights ?? golden.config, { group_size: 48 });
    const uneven = await valuesOf(golden);
    const isSame = Array.from({ length: 64 }, (_, column) =>
      Array.from({ length: 16 }, (__, row) => row * 64 + column).every((at) => even[at] === uneven[at]),
    );
    expect(isSame).toEqual(Array.from({ length: 64 }, (_, column) => column < 32 || column >= 48));
  },
);

// 60 columns and 14 rows: half of a row's last word, and of the last zero points, stands for nothing.
test.each(["compressed-tensors, 4 bits, symmetric", "compressed-tensors, 4 bits, with zero points"])(
  "%s: rows need not fill whole words",
  async (name) => {
    const { config, tensors } = named(name);
    const whole = await valuesOf({ config, tensors });
    const rowsOf = ({ dtype, shape, data }: StoredTensor): StoredTensor => {
      const bytes = Buffer.from(data, "base64");
      const kept = bytes.subarray(0, (bytes.length / 16) * 14);
      return { dtype, shape: [14, shape[1]!], data: kept.toString("base64") };
    };
    const shape = Buffer.from(new BigInt64Array([14n, 60n]).buffer).toString("base64");
    const cut = {
      ...tensors,
      weight_shape: { dtype: "I64", shape: [2], data: shape },
      weight_packed: rowsOf(tensors["weight_packed"]!),
      weight_scale: rowsOf(tensors["weight_scale"]!),
    };
    const values = await valuesOf({ config, tensors: cut });
    const wanted = Array.from({ length: 14 }, (_, row) => [...whole.subarray(row * 64, row * 64 + 60)]).flat();
    expect(Array.from(values, (value) => value + 0)).toEqual(wanted.map((value) => value + 0)); // -0 is 0
  },
);

test("an order of activation is gone by, whatever size of groups is stated", async () => {
  const golden = structuredClone(named("GPTQ, 4 bits, symmetric"));
  const order = Int32Array.from({ length: 64 }, (_, column) => Math.floor(column / 48));
  const listed = { dtype: "I32", shape: [64], data: Buffer.from(order.buffer).toString("base64") };
  delete golden.tensors["g_idx"];
  const stated = await valuesOf({ ...golden, config: { ...golden.config, group_size: 48 } });
  const tensors = { ...golden.tensors, g_idx: listed };
  expect(await valuesOf({ config: { ...golden.config, group_size: 7 }, tensors })).toEqual(stated);
});

const gptq = named("GPTQ, 4 bits, symmetric");
const without = (suffix: string): Record<string, StoredTensor> =>
  Object.fromEntries(Object.entries(gptq.tensors).filter(([name]) => name !== suffix));

/** As many scales as three groups have, and no order. */
const threeGroups: Record<string, StoredTensor> = {
  ...without("g_idx"),
  scales: { dtype: "F16", shape: [3, 16], data: Buffer.alloc(3 * 16 * 2).toString("base64") },
  qzeros: { dtype: "I32", shape: [3, 2], data: Buffer.alloc(3 * 2 * 4).toString("base64") },
};

test.each<[what: string, config: JsonObject, tensors: Record<string, StoredTensor>, reason: string]>([
  ["3 bits", { ...gptq.config, bits: 3 }, gptq.tensors, "gptq of 3 bits"],
  ["another method", { quant_method: "fp8" }, gptq.tensors, "(fp8)"],
  ["AWQ for other kernels", { quant_method: "awq", bits: 4, version: "gemv" }, gptq.tensors, "awq of 4 bits, gemv"],
  ["8-bit floats", { quant_method: "compressed-tensors", format: "float-quantized" }, gptq.tensors, "float-quantized"],
  ["no scales", gptq.config, without("scales"), 'has no "scales" beside it'],
  [
    "scales of another shape",
    gptq.config,
    { ...gptq.tensors, scales: { ...gptq.tensors["scales"]!, shape: [4, 8] } },
    "has shape [4, 8]",
  ],
  [
    "codes in halves of words",
    gptq.config,
    { ...gptq.tensors, qweight: { ...gptq.tensors["qweight"]!, dtype: "I16" } },
    "is of type I16, I32 is wanted",
  ],
  [
    "a size of groups that does not fit",
    { ...gptq.config, group_size: 40 },
    threeGroups,
    "no groups of 40, nor 3 of one size",
  ],
  [
    "a column of a group that is not there",
    gptq.config,
    {
      ...gptq.tensors,
      g_idx: { dtype: "I32", shape: [64], data: Buffer.from(new Int32Array(64).fill(9).buffer).toString("base64") },
    },
    "a column of group 9",
  ],
])("%s is refused", async (_, config, tensors, reason) => {
  await expect(restore({ config, tensors })).rejects.toThrow(reason);
});
