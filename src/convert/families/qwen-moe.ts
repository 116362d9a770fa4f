// Qwen's mixtures of experts. The second generation has a shared expert besides, with a gate of its own; the third has
// none, and weighs the chosen experts so that their weights sum to 1.
import type { Config } from "../../formats/huggingface/config.js";
import type { JsonObject } from "../../formats/huggingface/json-file.js";
import { type Family, requireValue } from "../family.js";
import type { Hyperparameters } from "../hyperparameters.js";
import { type NumberNames, describeOptionalCounts, restoreNumbers } from "../number-names.js";
import type { Recollection } from "../recollection.js";
import {
  ATTENTION_TENSORS,
  EXPERT_TENSORS,
  HEAD_NORM_TENSORS,
  OUTER_TENSORS,
  describeDecoder,
  restoreDecoder,
} from "./decoder.js";
import { QWEN2_ATTENTION_TENSORS } from "./qwen2.js";

const EXPERT_COUNTS: NumberNames = {
  expert_feed_forward_length: "moe_intermediate_size",
  expert_shared_feed_forward_length: "shared_expert_intermediate_size",
};
const MLP = "model.layers.{layer}.mlp";

function describe(config: Config, into: Hyperparameters): void {
  requireValue(config, "hidden_act", "silu");
  describeDecoder(config, into);
  describeOptionalCounts(config, into, EXPERT_COUNTS);
}

function restore(from: Recollection, normalizesWeights: boolean): JsonObject {
  return {
    ...restoreDecoder(from),
    ...restoreNumbers(from, EXPERT_COUNTS),
    num_experts: from.count("expert_count"),
    decoder_sparse_step: 1,
    norm_topk_prob: normalizesWeights,
  };
}

export const qwen2moe: Family = {
  name: "Qwen2-MoE",
  classes: ["Qwen2MoeForCausalLM"],
  architecture: "qwen2moe",
  modelType: "qwen2_moe",
  defaults: {
    rope_theta: 10_000,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 32_768,
    num_experts: 60,
    num_experts_per_tok: 4,
    moe_intermediate_size: 1408,
    shared_expert_intermediate_size: 5632,
  },
  tensors: {
    ...OUTER_TENSORS,
    ...QWEN2_ATTENTION_TENSORS,
    ...EXPERT_TENSORS,
    [`${MLP}.shared_expert_gate.weight`]: "blk.{layer}.ffn_gate_inp_shexp.weight",
    [`${MLP}.shared_expert.gate_proj.weight`]: "blk.{layer}.ffn_gate_shexp.weight",
    [`${MLP}.shared_expert.up_proj.weight`]: "blk.{layer}.ffn_up_shexp.weight",
    [`${MLP}.shared_expert.down_proj.weight`]: "blk.{layer}.ffn_down_shexp.weight",
  },
  describe(config, into) {
    requireValue(config, "norm_topk_prob", false);
    describe(config, into);
  },
  restore: (from) => restore(from, false),
};

export const qwen3moe: Family = {
  name: "Qwen3-MoE",
  classes: ["Qwen3MoeForCausalLM"],
  architecture: "qwen3moe",
  modelType: "qwen3_moe",
  defaults: {
    rope_theta: 10_000,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 32_768,
    num_experts_per_tok: 8,
    moe_intermediate_size: 768,
    norm_topk_prob: false,
  },
  tensors: { ...OUTER_TENSORS, ...ATTENTION_TENSORS, ...HEAD_NORM_TENSORS, ...EXPERT_TENSORS },
  describe(config, into) {
    requireValue(config, "norm_topk_prob", true);
    describe(config, into);
  },
  restore: (from) => restore(from, true),
};
