// Gemma 2: norms before and after each part, stored around 1; every other layer has a window; logits are capped.
// Gemma Team, *Gemma 2: Improving open language models at a practical size*, arXiv:2408.00118.
import type { Config } from "../../formats/huggingface/config.js";
import type { JsonObject } from "../../formats/huggingface/json-file.js";
import { DROPPED, type Family, type TensorNames, aroundOne, requireValue } from "../family.js";
import { type NumberNames, describeCounts, describeNumbers, restoreNumbers } from "../number-names.js";
import type { Recollection } from "../recollection.js";
import {
  ATTENTION_TENSORS,
  DECODER_COUNTS,
  FEED_FORWARD_TENSORS,
  OUTER_TENSORS,
  describeHeads,
  headCount,
  headLength,
  restoreDecoder,
} from "./decoder.js";

const LAYER = "model.layers.{layer}";

/** The norms that Gemma 2 and 3 share; the output is the embedding, also where a file has it twice. */
export const GEMMA_TENSORS: TensorNames = {
  ...OUTER_TENSORS,
  ...ATTENTION_TENSORS,
  ...FEED_FORWARD_TENSORS,
  "lm_head.weight": DROPPED,
  "model.norm.weight": aroundOne("output_norm.weight"),
  [`${LAYER}.input_layernorm.weight`]: aroundOne("blk.{layer}.attn_norm.weight"),
  [`${LAYER}.post_attention_layernorm.weight`]: aroundOne("blk.{layer}.post_attention_norm.weight"),
  [`${LAYER}.pre_feedforward_layernorm.weight`]: aroundOne("blk.{layer}.ffn_norm.weight"),
  [`${LAYER}.post_feedforward_layernorm.weight`]: aroundOne("blk.{layer}.post_ffw_norm.weight"),
};

/**
 * llama.cpp divides queries by the root of a head's length; in the largest model, which it knows by its layers, by that
 * of the width per head.
 */
export function requireQueryScale(config: Config, largest: { layers: number }): void {
  const isLargest = config.count("num_hidden_layers") === largest.layers;
  const scalar = isLargest ? config.count("hidden_size") / headCount(config) : headLength(config);
  requireValue(config, "query_pre_attn_scalar", scalar);
}

/** Windows are where llama.cpp has them: in all layers but each `period`th. */
export function requireWindows(config: Config, period: number): void {
  const types = config.texts("layer_types");
  const wanted = types?.map((_, layer) => ((layer + 1) % period === 0 ? "full_attention" : "sliding_attention"));
  if (types?.join() !== wanted?.join()) throw config.failure("layer_types", `full attention in each ${period}th layer`);
}

/** Where logits are capped; Gemma 3 has none. */
export const GEMMA_CAPS: NumberNames = {
  attn_logit_softcapping: "attn_logit_softcapping",
  final_logit_softcapping: "final_logit_softcapping",
};
export const GEMMA_WINDOW: NumberNames = { "attention.sliding_window": "sliding_window" };

/** What Gemma 2 and 3 share of the way back: see `requireQueryScale`. */
export function restoreGemma(from: Recollection, { largestLayers }: { largestLayers: number }): JsonObject {
  const { hidden_act: activation, ...decoder } = restoreDecoder(from);
  void activation; // theirs has another name and another value
  const isLargest = from.count("block_count") === largestLayers;
  const perHead = from.count("embedding_length") / from.count("attention.head_count");
  return {
    ...decoder,
    hidden_activation: "gelu_pytorch_tanh",
    query_pre_attn_scalar: isLargest ? perHead : from.count("attention.key_length"),
    ...restoreNumbers(from, { ...GEMMA_CAPS, ...GEMMA_WINDOW }),
  };
}

export const gemma2: Family = {
  name: "Gemma 2",
  classes: ["Gemma2ForCausalLM"],
  architecture: "gemma2",
  modelType: "gemma2",
  defaults: {
    rms_norm_eps: 1e-6,
    max_position_embeddings: 8192,
    head_dim: 256,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  },
  tensors: GEMMA_TENSORS,
  addsSpacePrefix: false,
  describe(config, into) {
    requireValue(config, "hidden_activation", "gelu_pytorch_tanh");
    requireQueryScale(config, { layers: 46 });
    requireWindows(config, 2);
    requireValue(config, "tie_word_embeddings", true);
    describeCounts(config, into, DECODER_COUNTS);
    describeHeads(config, into);
    into
      .number("attention.layer_norm_rms_epsilon", config.number("rms_norm_eps"))
      .count("attention.key_length", headLength(config))
      .count("attention.value_length", headLength(config));
    describeNumbers(config, into, GEMMA_CAPS);
    describeCounts(config, into, GEMMA_WINDOW);
  },
  restore: (from) => ({ ...restoreGemma(from, { largestLayers: 46 }), rope_theta: 10_000 }),
};
