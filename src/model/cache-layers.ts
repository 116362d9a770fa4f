// What each layer keeps for every token it has seen: keys and values, how far back, or a state of fixed size. Which
// layers look through a window follows llama.cpp's rules per family, as files seldom say.
import type { Metadata } from "../formats/gguf/metadata.js";
import type { TensorShape } from "./model.js";

/** What one layer keeps. */
export interface LayerCache {
  /** Elements of the keys of one token; 0 where the layer keeps none. */
  readonly keyLength: number;
  /** Elements of the values of one token; 0 where they are part of the keys (latent attention). */
  readonly valueLength: number;
  /** Tokens it looks back; absent when it sees all. */
  readonly window?: number;
  /** Bytes of a recurrent state, whatever the context (f32). */
  readonly stateBytes: number;
}

/** The dimensions that a layer's cache follows from. */
interface CacheDimensions {
  architecture: string;
  layers: number;
  kvHeads: readonly number[];
  headLengthK: number;
  headLengthV: number;
}

/** How a family places its windowed layers. */
interface WindowRule {
  /** One layer in so many sees all: the last of each period, or the first. 0: none does. */
  period: number;
  isFullFirst?: boolean;
  /** The window where the file names none. */
  window?: number;
  /** Only in models of so many layers. */
  layers?: number;
}

const WINDOW_RULES: Readonly<Record<string, WindowRule>> = {
  afmoe: { period: 4 },
  cohere2: { period: 4 },
  cohere2moe: { period: 4, isFullFirst: true },
  exaone4: { period: 4, window: 4096, layers: 64 },
  "exaone-moe": { period: 4 },
  gemma2: { period: 2, window: 4096 },
  gemma3: { period: 6 },
  gemma3n: { period: 5 },
  "gemma-embedding": { period: 6 },
  "gpt-oss": { period: 2 },
  laguna: { period: 4, isFullFirst: true },
  lfm2: { period: 0 },
  lfm2moe: { period: 0 },
  llama4: { period: 4, window: 8192 },
  mellum: { period: 4 },
  "modern-bert": { period: 3, isFullFirst: true },
  olmo2: { period: 4 },
  plamo3: { period: 8 },
  smallthinker: { period: 4, isFullFirst: true },
};

/** In gemma3n the layers after these reuse an earlier layer's keys and values. */
const GEMMA3N_LAYERS_WITH_CACHE = 20;

/** The cache of each layer. */
export function cacheLayers(
  metadata: Metadata,
  tensors: ReadonlyMap<string, TensorShape>,
  dimensions: CacheDimensions,
): LayerCache[] {
  const { architecture, layers, kvHeads, headLengthK, headLengthV } = dimensions;
  const read = (key: string) => metadata.number(`${architecture}.${key}`);
  const windows = layerWindows(metadata, architecture, layers);
  const isLatent = read("attention.key_length_mla") !== undefined;
  const layersRun = layers - (read("nextn_predict_layers") ?? 0);
  const layersWithCache =
    architecture === "gemma3n" ? GEMMA3N_LAYERS_WITH_CACHE : layersRun - (read("attention.shared_kv_layers") ?? 0);
  return Array.from({ length: layers }, (_, layer): LayerCache => {
    const stateBytes = isRecurrent(tensors, layer) ? recurrentStateBytes(read) : 0;
    if (layer >= layersWithCache || !isAttentive(tensors, layer)) return { keyLength: 0, valueLength: 0, stateBytes };
    const window = windows?.[layer];
    const lengthK = (window === undefined ? undefined : read("attention.key_length_swa")) ?? headLengthK;
    const lengthV = (window === undefined ? undefined : read("attention.value_length_swa")) ?? headLengthV;
    return {
      keyLength: lengthK * kvHeads[layer]!,
      valueLength: isLatent ? 0 : lengthV * kvHeads[layer]!,
      window,
      stateBytes,
    };
  });
}

/** The window of each layer, or undefined when no layer has one. */
function layerWindows(metadata: Metadata, architecture: string, layers: number): (number | undefined)[] | undefined {
  const rule = WINDOW_RULES[architecture];
  const window = metadata.number(`${architecture}.attention.sliding_window`) ?? rule?.window;
  if (!window) return undefined;
  const pattern = `${architecture}.attention.sliding_window_pattern`;
  if (metadata.typeOf(pattern) === "array") {
    const flags = metadata.array(pattern)!.values();
    return Array.from({ length: layers }, (_, layer) => (flags[layer] ? window : undefined));
  }
  if (!rule || (rule.layers ?? layers) !== layers) return undefined; // a key that the engine does not heed here
  const period = metadata.number(pattern) ?? rule.period;
  return Array.from({ length: layers }, (_, layer) => {
    const isFull = period > 0 && layer % period === (rule.isFullFirst ? 0 : period - 1);
    return isFull ? undefined : window;
  });
}

/** True when the layer has a state-space part. */
function isRecurrent(tensors: ReadonlyMap<string, TensorShape>, layer: number): boolean {
  return tensors.has(`blk.${layer}.ssm_conv1d.weight`) || tensors.has(`blk.${layer}.ssm_a`);
}

/** False for a layer that is recurrent only; hybrids with both parts in a layer keep both. */
function isAttentive(tensors: ReadonlyMap<string, TensorShape>, layer: number): boolean {
  return !isRecurrent(tensors, layer) || tensors.has(`blk.${layer}.attn_output.weight`);
}

/** Convolution and scan state of a Mamba-like layer, f32. */
function recurrentStateBytes(read: (key: string) => number | undefined): number {
  const inner = read("ssm.inner_size") ?? 0;
  const state = read("ssm.state_size") ?? 0;
  const convolved = inner + 2 * (read("ssm.group_count") ?? 0) * state;
  return 4 * (Math.max(0, (read("ssm.conv_kernel") ?? 0) - 1) * convolved + state * inner);
}
