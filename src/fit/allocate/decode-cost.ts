// What a tensor in some type adds to the time of a decoded token: the bytes that the token reads of it, times how long a
// byte of that type takes. A constant table; on a machine where it matters, measured ratios are passed in its place.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { bytesTouchedPerToken } from "../../model/memory.js";
import { type Model, type TensorShape, tensorSizeBytes } from "../../model/model.js";

/** Time per byte, relative to f16's. Types that are absent count as 1. */
export type ByteCosts = Readonly<Partial<Record<GgmlType, number>>>;

export const BYTE_COSTS: ByteCosts = {};

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
