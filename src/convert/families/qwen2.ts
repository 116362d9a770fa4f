// Qwen2 and 2.5: biases on queries, keys and values. A. Yang et al., *Qwen2 technical report*, arXiv:2407.10671.
import { type Family, type TensorNames, requireValue } from "../family.js";
import { ATTENTION_TENSORS, FEED_FORWARD_TENSORS, OUTER_TENSORS, describeDecoder, restoreDecoder } from "./decoder.js";

const ATTENTION = "model.layers.{layer}.self_attn";

export const QWEN2_ATTENTION_TENSORS: TensorNames = {
  ...ATTENTION_TENSORS,
  [`${ATTENTION}.q_proj.bias`]: "blk.{layer}.attn_q.bias",
  [`${ATTENTION}.k_proj.bias`]: "blk.{layer}.attn_k.bias",
  [`${ATTENTION}.v_proj.bias`]: "blk.{layer}.attn_v.bias",
};

export const qwen2: Family = {
  name: "Qwen2",
  classes: ["Qwen2ForCausalLM"],
  architecture: "qwen2",
  modelType: "qwen2",
  defaults: { rope_theta: 10_000, rms_norm_eps: 1e-6, max_position_embeddings: 32_768 },
  tensors: { ...OUTER_TENSORS, ...QWEN2_ATTENTION_TENSORS, ...FEED_FORWARD_TENSORS },
  describe(config, into) {
    requireValue(config, "hidden_act", "silu");
    describeDecoder(config, into);
  },
  restore: (from) => ({ ...restoreDecoder(from), use_sliding_window: false }),
};
