// What the families have in common: a decoder of pre-normed blocks with rotary positions, called as Llama's are.
import type { Config } from "../../formats/huggingface/config.js";
import type { JsonObject } from "../../formats/huggingface/json-file.js";
import { DROPPED, type TensorNames, optional } from "../family.js";
import type { Hyperparameters } from "../hyperparameters.js";
import {
  type NumberNames,
  describeCounts,
  describeNumbers,
  describeOptionalCounts,
  restoreNumbers,
} from "../number-names.js";
import type { Recollection } from "../recollection.js";
import { describeRope, restoreRope } from "../rope.js";

const LAYER = "model.layers.{layer}";

/** Embedding, output, and the buffers that old checkpoints stored. */
export const OUTER_TENSORS: TensorNames = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "lm_head.weight": optional("output.weight"),
  [`${LAYER}.self_attn.rotary_emb.inv_freq`]: DROPPED,
  "model.rotary_emb.inv_freq": DROPPED,
};

export const ATTENTION_TENSORS: TensorNames = {
  [`${LAYER}.input_layernorm.weight`]: "blk.{layer}.attn_norm.weight",
  [`${LAYER}.self_attn.q_proj.weight`]: "blk.{layer}.attn_q.weight",
  [`${LAYER}.self_attn.k_proj.weight`]: "blk.{layer}.attn_k.weight",
  [`${LAYER}.self_attn.v_proj.weight`]: "blk.{layer}.attn_v.weight",
  [`${LAYER}.self_attn.o_proj.weight`]: "blk.{layer}.attn_output.weight",
  [`${LAYER}.post_attention_layernorm.weight`]: "blk.{layer}.ffn_norm.weight",
};

/** Norms of single heads' queries and keys. */
export const HEAD_NORM_TENSORS: TensorNames = {
  [`${LAYER}.self_attn.q_norm.weight`]: "blk.{layer}.attn_q_norm.weight",
  [`${LAYER}.self_attn.k_norm.weight`]: "blk.{layer}.attn_k_norm.weight",
};

export const FEED_FORWARD_TENSORS: TensorNames = {
  [`${LAYER}.mlp.gate_proj.weight`]: "blk.{layer}.ffn_gate.weight",
  [`${LAYER}.mlp.up_proj.weight`]: "blk.{layer}.ffn_up.weight",
  [`${LAYER}.mlp.down_proj.weight`]: "blk.{layer}.ffn_down.weight",
};

/** Router and experts, one tensor per expert in the checkpoint. */
export const EXPERT_TENSORS: TensorNames = {
  [`${LAYER}.mlp.gate.weight`]: "blk.{layer}.ffn_gate_inp.weight",
  [`${LAYER}.mlp.experts.{expert}.gate_proj.weight`]: "blk.{layer}.ffn_gate_exps.weight",
  [`${LAYER}.mlp.experts.{expert}.up_proj.weight`]: "blk.{layer}.ffn_up_exps.weight",
  [`${LAYER}.mlp.experts.{expert}.down_proj.weight`]: "blk.{layer}.ffn_down_exps.weight",
};

/** The sizes that every family has. */
export const DECODER_COUNTS: NumberNames = {
  block_count: "num_hidden_layers",
  context_length: "max_position_embeddings",
  embedding_length: "hidden_size",
  feed_forward_length: "intermediate_size",
};
const EPSILON: NumberNames = { "attention.layer_norm_rms_epsilon": "rms_norm_eps" };
const OPTIONAL_COUNTS: NumberNames = { expert_used_count: "num_experts_per_tok", "attention.key_length": "head_dim" };

/** The numbers that every family has. */
export function describeDecoder(config: Config, into: Hyperparameters): void {
  describeCounts(config, into, DECODER_COUNTS);
  describeHeads(config, into);
  describeRope(config, into);
  describeNumbers(config, into, EPSILON);
  into.count("expert_count", expertCount(config));
  describeOptionalCounts(config, into, OPTIONAL_COUNTS);
  into.count("attention.value_length", config.optionalCount("head_dim"));
}

export function describeHeads(config: Config, into: Hyperparameters): void {
  into.count("attention.head_count", headCount(config)).count("attention.head_count_kv", kvHeadCount(config));
}

/** `describeDecoder`, the other way. */
export function restoreDecoder(from: Recollection): JsonObject {
  return {
    ...restoreNumbers(from, { ...DECODER_COUNTS, ...EPSILON, ...OPTIONAL_COUNTS }),
    num_attention_heads: from.count("attention.head_count"),
    num_key_value_heads: from.optionalCount("attention.head_count_kv") ?? from.count("attention.head_count"),
    hidden_act: "silu",
    ...restoreRope(from),
  };
}

export function headCount(config: Config): number {
  const count = config.count("num_attention_heads");
  if (count > 0) return count;
  throw config.failure("num_attention_heads", "at least 1");
}

export function kvHeadCount(config: Config): number {
  const count = config.optionalCount("num_key_value_heads") ?? headCount(config);
  if (count > 0) return count;
  throw config.failure("num_key_value_heads", "at least 1");
}

export function headLength(config: Config): number {
  return config.optionalCount("head_dim") ?? Math.floor(config.count("hidden_size") / headCount(config));
}

export function expertCount(config: Config): number | undefined {
  return config.optionalCount("num_local_experts") ?? config.optionalCount("num_experts");
}
