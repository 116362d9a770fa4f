// Metadata and tensor shapes without weights, for arithmetic on models.
import type { GgmlType } from "../src/formats/gguf/ggml-types.js";
import { Metadata, MetadataArray, type MetadataType } from "../src/formats/gguf/metadata.js";
import { type TensorShape, tensorSizeBytes } from "../src/model/model.js";

export type Values = Record<string, number | boolean | string | number[] | boolean[]>;

/** Metadata of a family: numbers as uint32, keys without the family's name. */
export function metadataOf(architecture: string, values: Values): Metadata {
  const metadata = new Metadata().set("general.architecture", "string", architecture);
  for (const [key, value] of Object.entries(values)) {
    const name = `${architecture}.${key}`;
    if (Array.isArray(value)) metadata.set(name, "array", MetadataArray.of(typeOf(value[0]!), value));
    else metadata.set(name, typeOf(value), value);
  }
  return metadata;
}

function typeOf(value: number | boolean | string): MetadataType {
  return typeof value === "number" ? "uint32" : typeof value === "boolean" ? "bool" : "string";
}

/** A tensor table. */
export function tensorsOf(shapes: Record<string, number[]>, type: GgmlType = "f16"): Map<string, TensorShape> {
  return new Map(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { name, shape, type, sizeBytes: tensorSizeBytes(type, shape) },
    ]),
  );
}

/** A small dense model. */
export const LLAMA = {
  block_count: 2,
  embedding_length: 64,
  context_length: 128,
  feed_forward_length: 96,
  "attention.head_count": 4,
};
