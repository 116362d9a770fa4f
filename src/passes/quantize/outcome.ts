// What became of each tensor, for people and for `--json`.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { type Model, elementCount, tensorSizeBytes } from "../../model/model.js";
import type { TypeAssignments } from "./assign-types.js";

/** What became of one tensor. */
export interface TensorOutcome {
  name: string;
  shape: readonly number[];
  /** The type it had. */
  from: GgmlType;
  type: GgmlType;
  /** The type that was meant, where the row length did not allow it. */
  fallbackFrom?: GgmlType;
  /** Why it has this type, as one phrase. */
  because: string;
  sizeBytes: number;
}

/** One outcome per tensor, in the order of the file. */
export function outcomes(model: Pick<Model, "tensors">, assignments: TypeAssignments): TensorOutcome[] {
  return [...assignments].map(([name, { type, fallbackFrom, because }]) => {
    const { shape, type: from } = model.tensors.get(name)!;
    return {
      name,
      shape,
      from,
      type,
      ...(fallbackFrom && { fallbackFrom }),
      because,
      sizeBytes: tensorSizeBytes(type, shape),
    };
  });
}

/** How many tensors have each type, most frequent first. */
export function countTypes(tensors: readonly TensorOutcome[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { type } of tensors) counts.set(type, (counts.get(type) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}

/** Bits of tensor data per weight; header and padding are left out, as llama.cpp does. */
export function bitsPerWeightOf(tensors: readonly TensorOutcome[]): number {
  const bytes = tensors.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  const weights = tensors.reduce((total, { shape }) => total + elementCount(shape), 0);
  return (bytes * 8) / weights;
}
