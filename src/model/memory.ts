// How much memory a model takes and how many bytes one token of decoding reads: plain arithmetic on the tensor table.
import { GGML_TYPES, type GgmlType } from "../formats/gguf/ggml-types.js";
import { activeShare } from "./active.js";
import { type Model, elementCount, rowCount } from "./model.js";
import type { ModelSpec } from "./spec.js";

/** Tokens computed at once, llama.cpp's default (`n_ubatch`). */
const BATCH_TOKENS = 512;
/** llama.cpp rounds caches up to this many tokens. */
const CACHE_STEP_TOKENS = 256;

/** Tables of which one token reads one row. */
const LOOKUP_TABLES = new Set([
  "token_embd.weight",
  "per_layer_token_embd.weight",
  "position_embd.weight",
  "token_types.weight",
]);

/** Types of the keys and values that are kept. */
export interface CacheOptions {
  /** `f16` by default. */
  typeK?: GgmlType;
  /** `f16` by default. */
  typeV?: GgmlType;
}

/** Bytes that each further token adds to the cache while no window is full. */
export function kvCacheBytesPerToken(spec: ModelSpec, options: CacheOptions = {}): number {
  return spec.cache.reduce((total, layer) => total + tokenBytes(layer, options), 0);
}

/**
 * Bytes of the cache that llama.cpp sets up for one sequence: windowed layers keep their window and one batch, each
 * rounded up to 256 tokens; recurrent layers keep a state of fixed size.
 *
 * @param contextLength tokens
 * @param options.batch tokens computed at once, 512 by default
 */
export function kvCacheBytes(
  spec: ModelSpec,
  contextLength: number,
  options: CacheOptions & { batch?: number } = {},
): number {
  const cells = roundUp(contextLength, CACHE_STEP_TOKENS);
  const batch = Math.min(options.batch ?? BATCH_TOKENS, cells);
  return spec.cache.reduce((total, layer) => {
    const windowCells =
      layer.window === undefined ? cells : roundUp(Math.min(cells, layer.window + batch), CACHE_STEP_TOKENS);
    return total + windowCells * tokenBytes(layer, options) + layer.stateBytes;
  }, 0);
}

/** Bytes of all tensors. */
export function sizeBytesOf(model: Pick<Model, "tensors">): number {
  let total = 0;
  for (const { sizeBytes } of model.tensors.values()) total += sizeBytes;
  return total;
}

/** Bits that a weight takes on average, over all tensors. */
export function bitsPerWeight(model: Pick<Model, "tensors">): number {
  let elements = 0;
  for (const { shape } of model.tensors.values()) elements += elementCount(shape);
  return elements === 0 ? 0 : (sizeBytesOf(model) * 8) / elements;
}

/** What to plan the memory for. */
export interface MemoryOptions extends CacheOptions {
  /** Tokens of context; what the model was trained for by default. */
  contextLength?: number;
  /** Tokens computed at once, 512 by default. */
  batch?: number;
  /** True by default, as llama.cpp chooses where it can. */
  flashAttention?: boolean;
  /** Tokens of a batch whose logits are asked for; all by default, which is what llama.cpp sets memory up for. */
  outputs?: number;
}

/** An estimate of the memory that inference takes, in bytes. */
export interface MemoryEstimate {
  weights: number;
  kvCache: number;
  compute: number;
  total: number;
}

/** Memory that llama.cpp takes for this model and one sequence. */
export function memoryBytes(model: Pick<Model, "spec" | "tensors">, options: MemoryOptions = {}): MemoryEstimate {
  const contextLength = options.contextLength ?? model.spec.contextLength;
  const weights = sizeBytesOf(model);
  const kvCache = kvCacheBytes(model.spec, contextLength, options);
  const compute = computeBytes(model.spec, contextLength, options);
  return { weights, kvCache, compute, total: weights + kvCache + compute };
}

/**
 * Bytes that one decoded token reads: every weight it goes through once, one row of each look-up table (a tied
 * embedding is read whole, as the output matrix), and the keys and values of the context.
 *
 * @param contextLength tokens before this one
 */
export function bytesTouchedPerToken(
  model: Pick<Model, "spec" | "tensors">,
  contextLength: number,
  options: CacheOptions = {},
): number {
  const { spec } = model;
  const layersRun = spec.layers - spec.layersAhead;
  let total = 0;
  for (const { name, shape, sizeBytes } of model.tensors.values()) {
    const layer = Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? 0);
    if (layer > 0 && layer >= layersRun) continue;
    if (LOOKUP_TABLES.has(name)) total += sizeBytes / rowCount(shape);
    if (name === "token_embd.weight" ? spec.tiedEmbeddings : !LOOKUP_TABLES.has(name)) {
      total += sizeBytes * activeShare(name, spec.experts, spec.expertsUsed);
    }
  }
  return Math.round(total + cacheBytesRead(spec, contextLength, options));
}

function cacheBytesRead(spec: ModelSpec, contextLength: number, options: CacheOptions): number {
  return spec.cache.reduce((total, layer) => {
    const tokens = Math.min(contextLength, layer.window ?? contextLength);
    return total + tokens * tokenBytes(layer, options) + layer.stateBytes;
  }, 0);
}

/** Bytes of one token's keys and values in one layer. */
function tokenBytes(layer: ModelSpec["cache"][number], { typeK = "f16", typeV = "f16" }: CacheOptions): number {
  return (layer.keyLength * GGML_TYPES[typeK].bitsPerWeight + layer.valueLength * GGML_TYPES[typeV].bitsPerWeight) / 8;
}

/**
 * Peak of the intermediate results of one batch, f32. ggml reuses memory along the graph, so the largest of three stages
 * counts: the logits, the feed-forward part, the attention. The factors are how many rows of each width are alive at
 * once; with them llama.cpp's own sums for stories260K, stories15M and minimind2-small are met within 1 %, from 256 to
 * 8192 tokens of context, with and without flash attention.
 */
function computeBytes(spec: ModelSpec, contextLength: number, options: MemoryOptions): number {
  const cells = roundUp(contextLength, CACHE_STEP_TOKENS);
  const tokens = Math.min(options.batch ?? BATCH_TOKENS, cells);
  const width = spec.embeddingLength;
  const heads = Math.max(0, ...spec.heads);
  const cached = Math.max(0, ...spec.cache.map((layer) => layer.keyLength + layer.valueLength));
  const isFlash = options.flashAttention ?? true;
  const maskBytes = tokens * cells * (isFlash ? 2 : 4);
  const scores = isFlash ? 0 : heads * cells;
  const output = 4 * Math.min(tokens, options.outputs ?? tokens) * (spec.vocabularySize + 2 * width);
  const feedForward = 4 * tokens * (feedForwardLength(spec) + 4 * width) + maskBytes;
  const attention = 4 * tokens * (scores + 4 * width + heads * spec.headLengthK + cached) + maskBytes;
  return Math.max(output, feedForward, attention) + 4 * spec.vocabularySize; // and the logits of one token to read
}

/** Elements per token that the feed-forward part holds at its peak: gate, up and their product, of each expert. */
function feedForwardLength(spec: ModelSpec): number {
  const widest = 3 * Math.max(0, ...spec.feedForwardLength);
  return spec.experts === 0 ? widest : spec.expertsUsed * (widest + spec.embeddingLength);
}

function roundUp(count: number, step: number): number {
  return Math.ceil(count / step) * step;
}
