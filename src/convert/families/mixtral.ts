// Mixtral: Llama's attention, and experts in place of the feed-forward part.
// A. Q. Jiang et al., *Mixtral of experts*, arXiv:2401.04088.
import type { Family } from "../family.js";
import { OUTER_TENSORS, restoreDecoder } from "./decoder.js";
import { LLAMA_ATTENTION_TENSORS, describeLlama } from "./llama.js";

const EXPERTS = "model.layers.{layer}.block_sparse_moe";

export const mixtral: Family = {
  name: "Mixtral",
  classes: ["MixtralForCausalLM"],
  architecture: "llama",
  modelType: "mixtral",
  defaults: { rope_theta: 1e6, rms_norm_eps: 1e-5, num_local_experts: 8, num_experts_per_tok: 2 },
  tensors: {
    ...OUTER_TENSORS,
    ...LLAMA_ATTENTION_TENSORS,
    [`${EXPERTS}.gate.weight`]: "blk.{layer}.ffn_gate_inp.weight",
    [`${EXPERTS}.experts.{expert}.w1.weight`]: "blk.{layer}.ffn_gate_exps.weight",
    [`${EXPERTS}.experts.{expert}.w2.weight`]: "blk.{layer}.ffn_down_exps.weight",
    [`${EXPERTS}.experts.{expert}.w3.weight`]: "blk.{layer}.ffn_up_exps.weight",
  },
  describe: describeLlama,
  restore: (from) => ({ ...restoreDecoder(from), num_local_experts: from.count("expert_count") }),
};
