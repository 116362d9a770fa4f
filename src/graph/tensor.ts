// What a graph is made of: tensors with a shape, a type and, where they were computed, the operation that did it. A leaf
// is a tensor of a store: a parameter, an input, a state of the optimizer.
import type { GgmlType } from "../formats/gguf/ggml-types.js";
import type { Attributes } from "./gradients.js";

/** Elements per dimension in ggml order, the row's length first; absent dimensions are 1. */
export type Shape = readonly [number, number, number, number];

/** The name of an operation that has a gradient. */
export type OperationName = keyof Attributes;

/** A leaf or a node. */
export interface Tensor {
  /** `ggml_tensor *`. */
  readonly pointer: bigint;
  /** What it is called in messages: a parameter's own name, or an operation with the parameter nearest to it. */
  readonly name: string;
  readonly type: GgmlType;
  readonly shape: Shape;
  /** True when a trained parameter had part in it. */
  readonly needsGradient: boolean;
  /** Where the gradients of a trained parameter are added up. */
  readonly gradient?: Tensor | undefined;
  /** How it was computed; absent for a leaf. */
  readonly operation?: Operation | undefined;
}

/** How a node was computed. */
export interface Operation<Name extends string = string> {
  readonly name: Name;
  readonly inputs: readonly Tensor[];
  readonly attributes: Name extends OperationName ? Attributes[Name] : unknown;
}

/** `[288, 1024]`, as messages write a shape. */
export function formatShape(shape: readonly number[]): string {
  const last = shape.findLastIndex((length) => length !== 1);
  return `[${shape.slice(0, Math.max(1, last + 1)).join(", ")}]`;
}

/** True when both have the same elements per dimension. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.every((length, i) => length === b[i]);
}

/** Four dimensions from up to four. */
export function paddedShape(shape: readonly number[]): Shape {
  return [shape[0] ?? 1, shape[1] ?? 1, shape[2] ?? 1, shape[3] ?? 1];
}
