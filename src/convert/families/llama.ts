// Llama 1 to 3.3, and all that took over its blocks: SmolLM 1 and 2, TinyLlama, Yi, DeepSeek LLM.
// H. Touvron et al., *LLaMA: Open and efficient foundation language models*, arXiv:2302.13971.
import type { Config } from "../../formats/huggingface/config.js";
import { type Family, type TensorNames, optional, requireValue, rotated } from "../family.js";
import type { Hyperparameters } from "../hyperparameters.js";
import { llama3Frequencies, restoreLlama3 } from "../rope.js";
import {
  ATTENTION_TENSORS,
  FEED_FORWARD_TENSORS,
  OUTER_TENSORS,
  describeDecoder,
  headCount,
  headLength,
  kvHeadCount,
  restoreDecoder,
} from "./decoder.js";

const ATTENTION = "model.layers.{layer}.self_attn";

/** Queries and keys in the order of llama.cpp's own rope, and the biases that some offshoots have. */
export const LLAMA_ATTENTION_TENSORS: TensorNames = {
  ...ATTENTION_TENSORS,
  [`${ATTENTION}.q_proj.weight`]: rotated("blk.{layer}.attn_q.weight", headCount),
  [`${ATTENTION}.k_proj.weight`]: rotated("blk.{layer}.attn_k.weight", kvHeadCount),
  [`${ATTENTION}.q_proj.bias`]: rotated("blk.{layer}.attn_q.bias", headCount, true),
  [`${ATTENTION}.k_proj.bias`]: rotated("blk.{layer}.attn_k.bias", kvHeadCount, true),
  [`${ATTENTION}.v_proj.bias`]: optional("blk.{layer}.attn_v.bias"),
  [`${ATTENTION}.o_proj.bias`]: optional("blk.{layer}.attn_output.bias"),
};

/** The numbers of llama.cpp's `llama`, which is Mistral's and Mixtral's too. */
export function describeLlama(config: Config, into: Hyperparameters): void {
  requireValue(config, "hidden_act", "silu");
  describeDecoder(config, into);
  into.count("vocab_size", config.count("vocab_size")).count("rope.dimension_count", headLength(config));
}

export const llama: Family = {
  name: "Llama, SmolLM",
  classes: ["LlamaForCausalLM", "LLaMAForCausalLM"],
  architecture: "llama",
  modelType: "llama",
  defaults: { rope_theta: 10_000, rms_norm_eps: 1e-6, max_position_embeddings: 2048 },
  tensors: { ...OUTER_TENSORS, ...LLAMA_ATTENTION_TENSORS, ...FEED_FORWARD_TENSORS },
  describe(config, into) {
    describeLlama(config, into);
    into.count("attention.key_length", headLength(config)).count("attention.value_length", headLength(config));
  },
  restore: (from) => ({
    ...restoreDecoder(from),
    attention_bias: from.has("blk.0.attn_q.bias"),
    ...restoreLlama3(from),
  }),
  computed: (config) => llama3Frequencies(config, headLength(config)),
};
