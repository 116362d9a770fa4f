// A model: what the metadata say of it, and its tensors, which are read when someone asks. Passes take one and give one.
import { GGML_TYPES, type GgmlType } from "../formats/gguf/ggml-types.js";
import type { Metadata } from "../formats/gguf/metadata.js";
import type { ModelSpec } from "./spec.js";

/** A named tensor whose bytes are fetched in rows. */
export interface LazyTensor {
  readonly name: string;
  /** Elements per dimension in ggml order: the row's length first. */
  readonly shape: readonly number[];
  readonly type: GgmlType;
  readonly sizeBytes: number;
  /**
   * Reads `count` rows of `shape[0]` elements from row `start` on, counted over all higher dimensions.
   *
   * @param into memory for them, which saves the cost of fresh memory; a tensor may put them elsewhere all the same
   * @returns memory of its own or a part of `into`, aligned for any element type
   * @throws {RangeError} when there are no such rows
   */
  readRows(start: number, count: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** A model, open for reading. */
export interface Model extends AsyncDisposable {
  readonly spec: ModelSpec;
  readonly metadata: Metadata;
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** Where it came from, when it is a file. */
  readonly path?: string;
  /** The files it came in, when it is split in several; else that one. */
  readonly parts?: readonly string[];
  /** Bytes of its file, header included; of a split one all parts together. */
  readonly fileSizeBytes?: number;
  close(): Promise<void>;
}

/** What arithmetic needs of a tensor; a `LazyTensor` is one. */
export type TensorShape = Pick<LazyTensor, "name" | "shape" | "type" | "sizeBytes">;

/** Elements of a tensor. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Rows of a tensor: the product of all dimensions but the first. */
export function rowCount(shape: readonly number[]): number {
  return elementCount(shape.slice(1));
}

/** Bytes of a tensor of this shape and type. */
export function tensorSizeBytes(type: GgmlType, shape: readonly number[]): number {
  return (elementCount(shape) / GGML_TYPES[type].blockSize) * GGML_TYPES[type].typeSizeBytes;
}
