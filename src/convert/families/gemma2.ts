// Gemma 2: norms before and after each part, stored around 1; every other layer has a window; logits are capped.
// Gemma Team, *Gemma 2: Improving open language models at a practical size*, arXiv:2408.00118.
import type { Config } from "../../formats/huggingface/config.js";
import { DROPPED, type Family, type TensorNames, aroundOne, requireValue } from "../family.js";
import {
  ATTENTION_TENSORS,
  FEED_FORWARD_TENSORS,
  OUTER_TENSORS,
  headCount,
  headLength,
  kvHeadCount,
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

export const gemma2: Family = {
  name: "Gemma 2",
  classes: ["Gemma2ForCausalLM"],
  architecture: "gemma2",
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
    into
      .count("context_length", config.count("max_position_embeddings"))
      .count("embedding_length", config.count("hidden_size"))
      .count("block_count", config.count("num_hidden_layers"))
      .count("feed_forward_length", config.count("intermediate_size"))
      .count("attention.head_count", headCount(config))
      .count("attention.head_count_kv", kvHeadCount(config))
      .number("attention.layer_norm_rms_epsilon", config.number("rms_norm_eps"))
      .count("attention.key_length", headLength(config))
      .count("attention.value_length", headLength(config))
      .number("attn_logit_softcapping", config.number("attn_logit_softcapping"))
      .number("final_logit_softcapping", config.number("final_logit_softcapping"))
      .count("attention.sliding_window", config.count("sliding_window"));
  },
};
