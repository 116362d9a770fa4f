// What a tensor in some type adds to the time of a decoded token: the bytes that the token reads of it, times how long a
// byte of that type takes. A constant table; on a machine where it matters, measured ratios are passed in its place.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { bytesTouchedPerToken } from "../../model/memory.js";
import { type Model, type TensorShape, tensorSizeBytes } from "../../model/model.js";

/** Time per byte, relative to f16's. Types that are absent count as 1. */
export type ByteCosts = Readonly<Partial<Record<GgmlType, number>>>;

/**
 * As `bench/decode-cost.mjs` measured them: rows of 2048 and 5632, one thread of a Xeon with AVX-512, weights rearranged
 * for speed (which ggml does for the types that are below 1) and near the processor. Repeated, they differed by up to
 * 15 %. Where many threads wait for the same memory, or on a GPU, all types are nearer to 1.
 */
export const BYTE_COSTS: ByteCosts = {
  f16: 1,
  q8_0: 0.65,
  q6_K: 1.7,
  q5_1: 2.1,
  q5_K: 1.5,
  q5_0: 2.7,
  q4_1: 0.49,
  q4_K: 0.73,
  q4_0: 0.53,
  iq4_nl: 1.3,
  iq4_xs: 1.2,
  q3_K: 1.7,
  iq3_s: 4.4,
  iq3_xxs: 4.3,
  q2_K: 1.4,
  iq2_s: 3.6,
  iq2_xs: 3.3,
  iq2_xxs: 7.4,
};

/**
 * Cost of a tensor in a type: bytes of f16 that would take as long to decode. Of an embedding that is only looked up one
 * row counts, of experts those that a token goes through.
 */
export function decodeCost(
  { spec }: Pick<Model, "spec">,
  tensor: TensorShape,
  type: GgmlType,
  costs: ByteCosts = BYTE_COSTS,
): number {
  const sizeBytes = tensorSizeBytes(type, tensor.shape);
  const readRows = () => Promise.reject(new Error("Sizes only"));
  const tensors = new Map([[tensor.name, { ...tensor, type, sizeBytes, readRows }]]);
  const states = bytesTouchedPerToken({ spec, tensors: new Map() }, 0);
  return (bytesTouchedPerToken({ spec, tensors }, 0) - states) * (costs[type] ?? 1);
}
