// A model to begin with: the vocabulary of another and weights by chance. What a GGUF says of its tokenizer is copied, what
// it says of its shape is written anew.
import { UsageError } from "../errors.js";
import { Metadata } from "../formats/gguf/metadata.js";
import type { TensorStore } from "../graph/store.js";
import type { LlamaShape, Parameters } from "../graph/llama.js";
import { elementCount } from "../model/model.js";
import { Random } from "../support/random.js";

/** The shape of a new model, as a user gives it. */
export interface NewModel {
  architecture: "llama" | "qwen2" | "qwen3";
  layers: number;
  width: number;
  heads: number;
  /** By default as many as `heads`. */
  kvHeads?: number | undefined;
  /** By default the multiple of 32 nearest to 8/3 of the width, as Llama has it. */
  feedForward?: number | undefined;
  ropeBase?: number | undefined;
  /** False for an output matrix beside the embedding; by default they are one. */
  isTied?: boolean | undefined;
}

/** Spread of the first weights (GPT-2, and most since). */
const DEVIATION = 0.02;

/** @throws {UsageError} when the numbers don't go together */
export function newShape(model: NewModel, vocabulary: number): LlamaShape {
  const { architecture, layers, width, heads, kvHeads = heads } = model;
  if (width % heads !== 0 || (width / heads) % 2 !== 0)
    throw new UsageError(`A width of ${width} can't be shared among ${heads} heads in even parts`);
  if (heads % kvHeads !== 0) throw new UsageError(`${heads} heads can't be shared among ${kvHeads} key heads`);
  const headLength = width / heads;
  return {
    architecture,
    layers,
    width,
    feedForward: model.feedForward ?? Math.max(32, Math.round((width * 8) / 3 / 32) * 32),
    heads,
    kvHeads,
    headLength,
    vocabulary,
    epsilon: 1e-5,
    rope: {
      dimensions: headLength,
      style: architecture === "llama" ? "norm" : "neox",
      base: model.ropeBase ?? 10_000,
      frequencyScale: 1,
    },
    hasRopeFactors: false,
    hasBias: architecture === "qwen2",
    hasHeadNorm: architecture === "qwen3",
    isTied: model.isTied ?? true,
    windows: Array.from({ length: layers }, () => undefined),
  };
}

/** The metadata of a new model: this shape, and the tokenizer of another. */
export function newMetadata(shape: LlamaShape, tokenizer: Metadata, contextLength: number): Metadata {
  const { architecture } = shape;
  const metadata = new Metadata().set("general.architecture", "string", architecture);
  const counts = {
    block_count: shape.layers,
    context_length: contextLength,
    embedding_length: shape.width,
    feed_forward_length: shape.feedForward,
    "attention.head_count": shape.heads,
    "attention.head_count_kv": shape.kvHeads,
    "attention.key_length": shape.headLength,
    "attention.value_length": shape.headLength,
    "rope.dimension_count": shape.rope.dimensions,
    vocab_size: shape.vocabulary,
  };
  for (const [key, count] of Object.entries(counts)) metadata.set(`${architecture}.${key}`, "uint32", count);
  metadata.set(`${architecture}.attention.layer_norm_rms_epsilon`, "float32", shape.epsilon);
  metadata.set(`${architecture}.rope.freq_base`, "float32", shape.rope.base);
  for (const { key, type, encoded } of tokenizer.entries())
    if (key.startsWith("tokenizer.")) metadata.setEncoded(key, type, encoded);
  return metadata;
}

/**
 * Weights by chance: norms 1, biases 0, matrices normal with deviation 0.02, and those that write into the residual stream
 * less by √(2 · layers) (Radford et al., 2019, section 2.3).
 */
export function initializeParameters(store: TensorStore, parameters: Parameters, layers: number, seed: number): void {
  const random = new Random(seed);
  for (const [name, parameter] of parameters) {
    const count = elementCount(parameter.shape);
    if (name.endsWith("norm.weight")) store.write(parameter, new Float32Array(count).fill(1));
    else if (name.endsWith(".weight")) {
      const isResidual = /attn_output|ffn_down/.test(name);
      const deviation = isResidual ? DEVIATION / Math.sqrt(2 * layers) : DEVIATION;
      const stream = random.fork(name);
      store.write(
        parameter,
        Float32Array.from({ length: count }, () => deviation * stream.normal()),
      );
    }
  }
}
