// What a model is, in numbers: read from the metadata, with the tensors filling in what the metadata leave out. Keys are
// llama.cpp's. A value that is absent becomes what llama.cpp takes for it, or 0; `check.ts` says what the engine misses.
import type { Metadata } from "../formats/gguf/metadata.js";
import { type LayerCache, cacheLayers } from "./cache-layers.js";
import { type TensorShape, elementCount } from "./model.js";
import { parametersActive } from "./active.js";

/** llama.cpp's LLAMA_MAX_LAYERS; also keeps a hostile count from filling memory. */
const LAYERS_MAX = 1024;

/** A model's dimensions. Per-layer lists have one entry per layer, also where the file has one number for all. */
export interface ModelSpec {
  /** llama.cpp's name of the family: `llama`, `qwen3moe`, `gemma3`. */
  readonly architecture: string;
  readonly name?: string;
  readonly layers: number;
  readonly embeddingLength: number;
  /** Width of the feed-forward part per layer; of one expert where all are experts. */
  readonly feedForwardLength: readonly number[];
  readonly heads: readonly number[];
  readonly kvHeads: readonly number[];
  /** Elements of one key head. */
  readonly headLengthK: number;
  /** Elements of one value head. */
  readonly headLengthV: number;
  /** Experts per layer, 0 in a dense model. */
  readonly experts: number;
  /** Experts that each token goes through. */
  readonly expertsUsed: number;
  /** Experts that every token goes through besides. */
  readonly expertsShared: number;
  /** Tokens it was trained for. */
  readonly contextLength: number;
  /** Tokens that the windowed layers look back; absent when every layer sees all. */
  readonly slidingWindow?: number;
  /** What each layer keeps per token. */
  readonly cache: readonly LayerCache[];
  /** Layers at the end that only predict further tokens ahead; the engine skips them. */
  readonly layersAhead: number;
  readonly vocabularySize: number;
  /** True when the embedding is the output matrix too. */
  readonly tiedEmbeddings: boolean;
  readonly ropeBase?: number;
  readonly parametersTotal: number;
  /** Parameters that take part in one token: all but the experts that it does not go through. */
  readonly parametersActive: number;
}

/**
 * Reads a model's dimensions.
 *
 * @throws {TypeError} when a value is of an impossible type
 * @throws {RangeError} when a value is impossible
 */
export function modelSpec(metadata: Metadata, tensors: ReadonlyMap<string, TensorShape>): ModelSpec {
  const architecture = metadata.string("general.architecture");
  if (!architecture) throw new RangeError("general.architecture is absent, so it is no model");
  const read = (key: string) => metadata.number(`${architecture}.${key}`);
  const layers = layerCount(read("block_count"), tensors);
  const perLayer = (key: string) => layerValues(metadata, `${architecture}.${key}`, layers);
  const embeddingLength = read("embedding_length") ?? tensors.get("token_embd.weight")?.shape[0] ?? 0;
  const heads = perLayer("attention.head_count") ?? repeat(0, layers);
  const kvHeads = perLayer("attention.head_count_kv") ?? heads;
  const headLength = heads[0] ? Math.floor(embeddingLength / heads[0]) : 0;
  const headLengthK = read("attention.key_length") ?? headLength;
  const headLengthV = read("attention.value_length") ?? headLength;
  const experts = read("expert_count") ?? 0;
  const expertsUsed = experts === 0 ? [] : (perLayer("expert_used_count") ?? []);
  const cache = cacheLayers(metadata, tensors, { architecture, layers, kvHeads, headLengthK, headLengthV });
  const window = cache.find((layer) => layer.window !== undefined)?.window;
  return {
    architecture,
    name: metadata.string("general.name"),
    layers,
    embeddingLength,
    feedForwardLength: perLayer("feed_forward_length") ?? repeat(read("expert_feed_forward_length") ?? 0, layers),
    heads,
    kvHeads,
    headLengthK,
    headLengthV,
    experts,
    expertsUsed: Math.max(0, ...expertsUsed),
    expertsShared: read("expert_shared_count") ?? 0,
    contextLength: read("context_length") ?? 0,
    slidingWindow: window,
    cache,
    layersAhead: Math.min(read("nextn_predict_layers") ?? 0, layers),
    vocabularySize: vocabularySize(metadata, architecture, tensors),
    tiedEmbeddings: tensors.has("token_embd.weight") && !tensors.has("output.weight"),
    ropeBase: read("rope.freq_base"),
    parametersTotal: [...tensors.values()].reduce((total, { shape }) => total + elementCount(shape), 0),
    parametersActive: parametersActive(tensors, experts, expertsUsed),
  };
}

/** A number per layer, from an array or from one number for all; undefined when the key is absent. */
export function layerValues(metadata: Metadata, key: string, layers: number): number[] | undefined {
  if (metadata.typeOf(key) !== "array") {
    const value = metadata.number(key);
    return value === undefined ? undefined : repeat(value, layers);
  }
  const array = metadata.array(key)!;
  if (array.length < layers) throw new RangeError(`metadata "${key}" has ${array.length} values for ${layers} layers`);
  return array.numbers().slice(0, layers);
}

function layerCount(stated: number | undefined, tensors: ReadonlyMap<string, TensorShape>): number {
  const layers = stated ?? countBlocks(tensors);
  if (layers <= LAYERS_MAX && Number.isInteger(layers) && layers >= 0) return layers;
  throw new RangeError(`block_count is ${layers}, a count up to ${LAYERS_MAX} is wanted`);
}

function countBlocks(tensors: ReadonlyMap<string, TensorShape>): number {
  let layers = 0;
  for (const name of tensors.keys()) {
    const match = /^blk\.(\d+)\./.exec(name);
    if (match) layers = Math.max(layers, Number(match[1]) + 1);
  }
  return layers;
}

function vocabularySize(metadata: Metadata, architecture: string, tensors: ReadonlyMap<string, TensorShape>): number {
  const tokens = "tokenizer.ggml.tokens";
  return (
    (metadata.has(tokens) ? metadata.array(tokens)!.length : undefined) ??
    metadata.number(`${architecture}.vocab_size`) ??
    tensors.get("token_embd.weight")?.shape[1] ??
    0
  );
}

function repeat(value: number, count: number): number[] {
  return Array.from({ length: count }, () => value);
}
