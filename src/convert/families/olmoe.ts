// OLMoE: norms over all queries and all keys of a layer, experts in every layer.
// N. Muennighoff et al., *OLMoE: Open mixture-of-experts language models*, arXiv:2409.02060.
import { FormatError } from "../../errors.js";
import { type Family, requireValue } from "../family.js";
import {
  ATTENTION_TENSORS,
  EXPERT_TENSORS,
  HEAD_NORM_TENSORS,
  OUTER_TENSORS,
  describeDecoder,
  restoreDecoder,
} from "./decoder.js";

export const olmoe: Family = {
  name: "OLMoE",
  classes: ["OlmoeForCausalLM"],
  architecture: "olmoe",
  modelType: "olmoe",
  defaults: {
    rope_theta: 10_000,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 4096,
    num_experts: 64,
    num_experts_per_tok: 8,
  },
  tensors: { ...OUTER_TENSORS, ...ATTENTION_TENSORS, ...HEAD_NORM_TENSORS, ...EXPERT_TENSORS },
  describe(config, into) {
    requireValue(config, "hidden_act", "silu");
    requireValue(config, "norm_topk_prob", false);
    if (config.has("clip_qkv")) {
      throw new FormatError(
        config.path,
        `Cannot convert "${config.path}": clip_qkv is set, which llama.cpp leaves out`,
      );
    }
    describeDecoder(config, into);
  },
  restore: (from) => ({
    ...restoreDecoder(from),
    num_experts: from.count("expert_count"),
    norm_topk_prob: false,
    clip_qkv: null,
  }),
};
