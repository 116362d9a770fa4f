// The types that a GGUF metadata value can have, as numbered in the file.
import type { MetadataArray } from "./metadata-array.js";

/** The types a metadata value can have, in the order of their numbers in the file. */
export const METADATA_TYPES = [
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "float32",
  "bool",
  "string",
  "array",
  "uint64",
  "int64",
  "float64",
] as const;

export type MetadataType = (typeof METADATA_TYPES)[number];

/** Bytes of a value; strings and arrays have none of their own, as their length varies. */
export const METADATA_SIZES: Readonly<Record<MetadataType, number | undefined>> = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  bool: 1,
  string: undefined,
  array: undefined,
  uint64: 8,
  int64: 8,
  float64: 8,
};

/** A 64-bit integer is a `number` where that is exact and a `bigint` beyond ±2^53. */
export type MetadataValue = number | bigint | boolean | string | MetadataArray;
