// Qwen3: no biases, norms on each head's queries and keys. A. Yang et al., *Qwen3 technical report*, arXiv:2505.09388.
import { type Family, requireValue } from "../family.js";
import {
  ATTENTION_TENSORS,
  FEED_FORWARD_TENSORS,
  HEAD_NORM_TENSORS,
  OUTER_TENSORS,
  describeDecoder,
  restoreDecoder,
} from "./decoder.js";

export const qwen3: Family = {
  name: "Qwen3",
  classes: ["Qwen3ForCausalLM"],
  architecture: "qwen3",
  modelType: "qwen3",
  defaults: { rope_theta: 10_000, rms_norm_eps: 1e-6, max_position_embeddings: 32_768, head_dim: 128 },
  tensors: { ...OUTER_TENSORS, ...ATTENTION_TENSORS, ...HEAD_NORM_TENSORS, ...FEED_FORWARD_TENSORS },
  describe(config, into) {
    requireValue(config, "hidden_act", "silu");
    requireValue(config, "attention_bias", false);
    describeDecoder(config, into);
  },
  restore: (from) => ({ ...restoreDecoder(from), attention_bias: false, use_sliding_window: false }),
};
