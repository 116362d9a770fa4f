// What is in a model file, as one document: the answer of `pare inspect --json`. Only the header is read.
import type { GgmlType } from "../formats/gguf/ggml-types.js";
import type { Metadata, MetadataEntry } from "../formats/gguf/metadata.js";
import { bitsPerWeight, kvCacheBytesPerToken, sizeBytesOf } from "./memory.js";
import { openModel } from "./open.js";

/** Arrays beyond this length are told by their length only. */
const ARRAY_LENGTH_MAX = 16;
/** Strings beyond this length are cut: chat templates and licences. */
const STRING_LENGTH_MAX = 2000;

/** A metadata value as JSON: 64-bit integers beyond 2^53 as strings. */
export type InspectedValue = string | number | boolean | InspectedValue[] | { elementType: string; length: number };

/** What `inspect` tells of a model. */
export interface Inspection {
  path: string;
  architecture: string;
  name?: string;
  /** Parameters of all tensors. */
  parametersTotal: number;
  /** Parameters that take part in one token. */
  parametersActive: number;
  /** Bytes of the file; of a split one all parts together. */
  sizeBytes: number;
  bitsPerWeight: number;
  /** Tokens it was trained for. */
  contextLength: number;
  /** With keys and values in f16. */
  kvCacheBytesPerToken: number;
  layers: number;
  embeddingLength: number;
  /** Heads per layer; one number where all layers agree. */
  heads: number | number[];
  kvHeads: number | number[];
  experts: number;
  expertsUsed: number;
  vocabularySize: number;
  tiedEmbeddings: boolean;
  /** Tokens that windowed layers look back. */
  slidingWindow?: number;
  /** `general.file_type`: the number of llama.cpp's preset. */
  fileType?: number;
  quantizedBy?: string;
  /** How many tensors are of each type, the most frequent first. */
  types: Partial<Record<GgmlType, number>>;
  tensors: { name: string; shape: number[]; type: GgmlType; sizeBytes: number }[];
  metadata: Record<string, InspectedValue>;
}

/**
 * Tells what is in a model file.
 *
 * @throws {FormatError} when it is no sound model
 * @throws {PareError} when it can't be read
 * @example
 * const { architecture, bitsPerWeight } = await inspect("model.gguf");
 */
export async function inspect(path: string, options: { signal?: AbortSignal } = {}): Promise<Inspection> {
  await using model = await openModel(path, options);
  const { spec, metadata } = model;
  const tensors = [...model.tensors.values()];
  return {
    path,
    architecture: spec.architecture,
    name: spec.name,
    parametersTotal: spec.parametersTotal,
    parametersActive: spec.parametersActive,
    sizeBytes: model.fileSizeBytes ?? sizeBytesOf(model),
    bitsPerWeight: bitsPerWeight(model),
    contextLength: spec.contextLength,
    kvCacheBytesPerToken: kvCacheBytesPerToken(spec),
    layers: spec.layers,
    embeddingLength: spec.embeddingLength,
    heads: oneOrAll(spec.heads),
    kvHeads: oneOrAll(spec.kvHeads),
    experts: spec.experts,
    expertsUsed: spec.expertsUsed,
    vocabularySize: spec.vocabularySize,
    tiedEmbeddings: spec.tiedEmbeddings,
    slidingWindow: spec.slidingWindow,
    fileType: numberOrNothing(metadata, "general.file_type"),
    quantizedBy: stringOrNothing(metadata, "general.quantized_by"),
    types: countTypes(tensors),
    tensors: tensors.map(({ name, shape, type, sizeBytes }) => ({ name, shape: [...shape], type, sizeBytes })),
    metadata: Object.fromEntries([...metadata.entries()].map((entry) => [entry.key, inspectEntry(entry)])),
  };
}

function oneOrAll(values: readonly number[]): number | number[] {
  return values.every((value) => value === values[0]) ? (values[0] ?? 0) : [...values];
}

function countTypes(tensors: readonly { type: GgmlType }[]): Partial<Record<GgmlType, number>> {
  const counts = new Map<GgmlType, number>();
  for (const { type } of tensors) counts.set(type, (counts.get(type) ?? 0) + 1);
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}

function inspectEntry(entry: MetadataEntry): InspectedValue {
  if (entry.type !== "string" || entry.encoded.byteLength <= 4 * STRING_LENGTH_MAX) return inspectValue(entry.value);
  const start = entry.encoded.subarray(8, 4 * STRING_LENGTH_MAX + 8); // a text of many megabytes is not decoded to be cut
  return inspectValue(new TextDecoder().decode(start));
}

function inspectValue(value: ReturnType<Metadata["get"]> & {}): InspectedValue {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "string")
    return value.length > STRING_LENGTH_MAX ? `${value.slice(0, STRING_LENGTH_MAX)}…` : value;
  if (typeof value === "boolean") return value;
  if (value.length > ARRAY_LENGTH_MAX) return { elementType: value.elementType, length: value.length };
  return value.values().map(inspectValue);
}

/** For what is told in passing: of another type counts as absent. */
function numberOrNothing(metadata: Metadata, key: string): number | undefined {
  const value = metadata.get(key);
  return typeof value === "number" ? value : undefined;
}

function stringOrNothing(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key);
  return typeof value === "string" ? value : undefined;
}
