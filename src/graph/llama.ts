// The Llama-like family: Llama, Mistral, SmolLM, Qwen2 and Qwen3, in three parts: hyper-parameters, tensors, graph. They
// share RMS norms before attention and feed-forward, rotary positions, grouped key heads and a gated feed-forward; they
// differ in the pairs that are rotated, biases of q, k and v (Qwen2), norms of q and k (Qwen3), a window (Mistral), and
// whether the embedding is the output matrix. What llama.cpp's graphs of these families do is the measure.
//
// Touvron et al., 2023, arXiv:2302.13971; Jiang et al., 2023, arXiv:2310.06825; Yang et al., 2025, arXiv:2505.09388.
import { FormatError } from "../errors.js";
import type { Model } from "../model/model.js";
import type { RopeSettings } from "./gradients.js";
import type { Operations } from "./operations.js";
import { project, weight } from "./project.js";
import type { Tensor } from "./tensor.js";

// 1. Hyper-parameters

/** How the families differ where the tensors don't tell. */
const FAMILIES: Readonly<Record<string, { rope: RopeSettings["style"] }>> = {
  llama: { rope: "norm" },
  qwen2: { rope: "neox" },
  qwen3: { rope: "neox" },
};

/** The architectures that `pare` can train, as llama.cpp spells them. */
export const TRAINABLE_ARCHITECTURES = Object.keys(FAMILIES);

export interface LlamaShape {
  readonly architecture: string;
  readonly layers: number;
  /** Width of the residual stream. */
  readonly width: number;
  readonly feedForward: number;
  /** Heads of queries. */
  readonly heads: number;
  /** Heads of keys and values; divides `heads`. */
  readonly kvHeads: number;
  readonly headLength: number;
  readonly vocabulary: number;
  /** ε of the norms, 1e-6 to 1e-5. */
  readonly epsilon: number;
  readonly rope: Omit<RopeSettings, "factors">;
  /** True when a tensor holds divisors of the rotation's frequencies (Llama 3). */
  readonly hasRopeFactors: boolean;
  /** Biases of q, k and v (Qwen2). */
  readonly hasBias: boolean;
  /** Norms of each head of q and k (Qwen3). */
  readonly hasHeadNorm: boolean;
  /** True when the embedding is the output matrix too. */
  readonly isTied: boolean;
  /** Tokens that each layer looks back, itself included; undefined where it sees all. */
  readonly windows: readonly (number | undefined)[];
  /** What the products of low-rank adapters are multiplied by, α / rank; 1 where nothing is said. */
  readonly adapterScale?: number | undefined;
}

type Described = Pick<Model, "spec" | "metadata" | "tensors"> & Partial<Pick<Model, "path">>;

/**
 * Reads the hyper-parameters of a model.
 *
 * @throws {FormatError} when it is of another family, or has a tensor or a setting that this graph does not know
 */
export function llamaShape(model: Described): LlamaShape {
  const { spec, metadata, tensors } = model;
  const { architecture } = spec;
  const read = (key: string): number | undefined => metadata.number(`${architecture}.${key}`);
  const family = FAMILIES[architecture];
  if (!family)
    throw unsupported(
      model,
      `${architecture} is no family that can be trained; there is ${TRAINABLE_ARCHITECTURES.join(", ")}`,
    );
  const one = (what: string, values: readonly number[]): number => {
    if (values.some((value) => value !== values[0])) throw unsupported(model, `its layers differ in ${what}`);
    return values[0] ?? 0;
  };
  const scaling = metadata.string(`${architecture}.rope.scaling.type`) ?? "none";
  if (scaling !== "none" && scaling !== "linear") throw unsupported(model, `its rope scaling is "${scaling}"`);
  const shape: LlamaShape = {
    architecture,
    layers: spec.layers,
    width: spec.embeddingLength,
    feedForward: one("feed-forward length", spec.feedForwardLength),
    heads: one("heads", spec.heads),
    kvHeads: one("key heads", spec.kvHeads),
    headLength: spec.headLengthK,
    vocabulary: tensors.get("token_embd.weight")?.shape[1] ?? spec.vocabularySize,
    epsilon: read("attention.layer_norm_rms_epsilon") ?? 1e-5,
    rope: {
      dimensions: read("rope.dimension_count") ?? spec.headLengthK,
      style: family.rope,
      base: spec.ropeBase ?? 10_000,
      frequencyScale: scaling === "linear" ? 1 / (read("rope.scaling.factor") ?? 1) : 1,
    },
    hasRopeFactors: tensors.has("rope_freqs.weight"),
    hasBias: tensors.has("blk.0.attn_q.bias"),
    hasHeadNorm: tensors.has("blk.0.attn_q_norm.weight"),
    isTied: spec.tiedEmbeddings,
    windows: spec.cache.map(({ window }) => window),
  };
  requireKnown(model, shape);
  return shape;
}

/** A tensor more or less than the graph has would be a model that is not what is computed here. */
function requireKnown(model: Described, shape: LlamaShape): void {
  const wanted = new Map(llamaTensors(shape).map((tensor) => [tensor.name, tensor.shape]));
  for (const [name, tensor] of model.tensors) {
    const lengths = wanted.get(name);
    if (!lengths) throw unsupported(model, `its tensor "${name}" has no part in the training graph`);
    if (lengths.join() !== tensor.shape.join())
      throw unsupported(model, `tensor "${name}" is [${tensor.shape.join(", ")}], [${lengths.join(", ")}] is wanted`);
  }
  for (const name of wanted.keys())
    if (!model.tensors.has(name)) throw unsupported(model, `tensor "${name}" is missing`);
}

function unsupported({ path = "model" }: Partial<Pick<Model, "path">>, reason: string): FormatError {
  return new FormatError(path, `Cannot train "${path}": ${reason}`);
}

// 2. Tensors

export interface ParameterShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Every tensor of a model of this shape, in the order of a file. */
export function llamaTensors(shape: LlamaShape): ParameterShape[] {
  const { width, feedForward, vocabulary, headLength, heads, kvHeads } = shape;
  const queries = heads * headLength;
  const keys = kvHeads * headLength;
  const tensors: ParameterShape[] = [{ name: "token_embd.weight", shape: [width, vocabulary] }];
  for (let layer = 0; layer < shape.layers; layer++) {
    const add = (name: string, ...lengths: number[]): void =>
      void tensors.push({ name: `blk.${layer}.${name}`, shape: lengths });
    add("attn_norm.weight", width);
    add("attn_q.weight", width, queries);
    add("attn_k.weight", width, keys);
    add("attn_v.weight", width, keys);
    if (shape.hasBias) {
      add("attn_q.bias", queries);
      add("attn_k.bias", keys);
      add("attn_v.bias", keys);
    }
    if (shape.hasHeadNorm) {
      add("attn_q_norm.weight", headLength);
      add("attn_k_norm.weight", headLength);
    }
    add("attn_output.weight", queries, width);
    add("ffn_norm.weight", width);
    add("ffn_gate.weight", width, feedForward);
    add("ffn_up.weight", width, feedForward);
    add("ffn_down.weight", feedForward, width);
  }
  tensors.push({ name: "output_norm.weight", shape: [width] });
  if (!shape.isTied) tensors.push({ name: "output.weight", shape: [width, vocabulary] });
  if (shape.hasRopeFactors) tensors.push({ name: "rope_freqs.weight", shape: [shape.rope.dimensions / 2] });
  return tensors;
}

// 3. Graph

/** What is fed in for a batch of B sequences of T tokens. */
export interface TokenBatch {
  /** i32 [T · B]. */
  readonly tokens: Tensor;
  /** i32 [T · B]: each token's place in its document. */
  readonly positions: Tensor;
  /** By window: f32 [T, T, 1, B], 0 where the query of a row sees a key and −∞ where not. */
  readonly masks: ReadonlyMap<number | undefined, Tensor>;
  /** i32 [R]: the tokens whose logits are wanted; absent where all are. */
  readonly rows?: Tensor | undefined;
}

/** The matrix that makes logits. */
export function outputName({ isTied }: LlamaShape): string {
  return isTied ? "token_embd.weight" : "output.weight";
}

/** A model's parameters by name. */
export type Parameters = ReadonlyMap<string, Tensor>;

/** What a model makes of a batch. */
export interface LlamaOutputs {
  /** What the output matrix is given: the last layer's result, normed; [width, T · B], of a batch's rows alone where it names some. */
  readonly states: Tensor;
  /** [vocabulary, T · B], or as many as the states. */
  readonly logits: Tensor;
}

/**
 * The logits of a batch.
 *
 * @param options.checkpoint keep only each layer's input, and compute the rest again for the gradients
 * @returns [vocabulary, T · B], or [vocabulary, R] of the batch's rows
 */
export function llamaLogits(
  f: Operations,
  shape: LlamaShape,
  parameters: Parameters,
  batch: TokenBatch,
  options: { checkpoint?: boolean } = {},
): Tensor {
  return llamaOutputs(f, shape, parameters, batch, options).logits;
}

/** The logits of a batch, and what they were made from. */
export function llamaOutputs(
  f: Operations,
  shape: LlamaShape,
  parameters: Parameters,
  batch: TokenBatch,
  options: { checkpoint?: boolean } = {},
): LlamaOutputs {
  let x = f.getRows(weight(parameters, "token_embd.weight"), batch.tokens); // [width, T·B]
  for (let layer = 0; layer < shape.layers; layer++) {
    const block = (input: Tensor): Tensor => llamaBlock(f, shape, parameters, batch, input, layer);
    x = options.checkpoint ? f.checkpoint(x, block) : block(x);
  }
  if (batch.rows) x = f.getRows(x, batch.rows); // [width, R]
  const states = f.mul(f.rmsNorm(x, shape.epsilon), weight(parameters, "output_norm.weight"));
  let logits: Tensor | undefined;
  return {
    states,
    get logits() {
      return (logits ??= f.mulMat(weight(parameters, outputName(shape)), states));
    },
  };
}

/** Attention and feed-forward, each added to what came in; [width, T·B] to [width, T·B]. */
function llamaBlock(
  f: Operations,
  shape: LlamaShape,
  parameters: Parameters,
  batch: TokenBatch,
  input: Tensor,
  layer: number,
): Tensor {
  const w = (name: string): Tensor => weight(parameters, `blk.${layer}.${name}`);
  const norm = (x: Tensor, name: string): Tensor => f.mul(f.rmsNorm(x, shape.epsilon), w(name));
  const through = (name: string, x: Tensor): Tensor => project(f, shape, parameters, `blk.${layer}.${name}`, x);
  const attended = f.add(attention(f, shape, parameters, batch, norm(input, "attn_norm.weight"), layer), input);
  // The place of a mixture of experts: a router's choice of several of these in place of the one.
  const h = norm(attended, "ffn_norm.weight");
  const gated = f.swiglu(through("ffn_gate.weight", h), through("ffn_up.weight", h)); // [feedForward, T·B]
  return f.add(through("ffn_down.weight", gated), attended);
}

function attention(
  f: Operations,
  shape: LlamaShape,
  parameters: Parameters,
  { positions, masks }: TokenBatch,
  x: Tensor,
  layer: number,
): Tensor {
  const { heads, kvHeads, headLength, rope } = shape;
  const mask = masks.get(shape.windows[layer]);
  const [length, , , sequences] = mask!.shape;
  const factors = parameters.get("rope_freqs.weight");
  const headsOf = (name: "q" | "k" | "v", count: number): Tensor => {
    const product = project(f, shape, parameters, `blk.${layer}.attn_${name}.weight`, x);
    const biased = shape.hasBias ? f.add(product, weight(parameters, `blk.${layer}.attn_${name}.bias`)) : product;
    return f.reshape(biased, headLength, count, length * sequences); // [headLength, count, T·B]
  };
  const place = (name: "q" | "k", count: number): Tensor => {
    const projected = headsOf(name, count);
    const normed = shape.hasHeadNorm
      ? f.mul(f.rmsNorm(projected, shape.epsilon), weight(parameters, `blk.${layer}.attn_${name}_norm.weight`))
      : projected;
    const rotated = f.rope(normed, positions, { ...rope, factors });
    return f.permute(f.reshape(rotated, headLength, count, length, sequences), [0, 2, 1, 3]); // [headLength, T, count, B]
  };
  const q = place("q", heads);
  const k = place("k", kvHeads);
  const v = f.permute(f.reshape(headsOf("v", kvHeads), headLength, kvHeads, length, sequences), [1, 2, 0, 3]);
  const scores = f.softMax(f.mulMat(k, q), { scale: 1 / Math.sqrt(headLength), mask }); // [T, T, heads, B]
  const mixed = f.mulMat(f.contiguous(v), scores); // v is [T, headLength, kvHeads, B]; [headLength, T, heads, B]
  const joined = f.reshape(f.permute(mixed, [0, 2, 1, 3]), heads * headLength, length * sequences);
  return project(f, shape, parameters, `blk.${layer}.attn_output.weight`, joined); // [width, T·B]
}
