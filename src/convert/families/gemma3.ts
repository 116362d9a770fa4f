// Gemma 3, the text half: norms on heads' queries and keys, five layers with a window to one without, a rope for each.
// Gemma Team, *Gemma 3 technical report*, arXiv:2503.19786.
import { type Family, aroundOne, requireValue } from "../family.js";
import { describeDecoder } from "./decoder.js";
import { GEMMA_TENSORS, requireQueryScale, requireWindows, restoreGemma } from "./gemma2.js";

const ATTENTION = "model.layers.{layer}.self_attn";

export const gemma3: Family = {
  name: "Gemma 3",
  classes: ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
  architecture: "gemma3",
  modelType: "gemma3_text",
  defaults: {
    rms_norm_eps: 1e-6,
    max_position_embeddings: 131_072,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    query_pre_attn_scalar: 256,
    rope_theta: 1e6,
    rope_local_base_freq: 10_000,
    sliding_window: 4096,
    vocab_size: 262_208,
  },
  tensors: {
    ...GEMMA_TENSORS,
    [`${ATTENTION}.q_norm.weight`]: aroundOne("blk.{layer}.attn_q_norm.weight"),
    [`${ATTENTION}.k_norm.weight`]: aroundOne("blk.{layer}.attn_k_norm.weight"),
  },
  addsSpacePrefix: false,
  // Beside the model that sees, the text model's tensors have a prefix, which has been in two places.
  textName: (name) =>
    /^(model\.)?(vision_tower|multi_modal_projector)\./.test(name) ? undefined : name.replace("language_model.", ""),
  describe(config, into) {
    requireValue(config, "hidden_activation", "gelu_pytorch_tanh");
    requireQueryScale(config, { layers: 62 });
    requireWindows(config, 6);
    requireValue(config, "tie_word_embeddings", true);
    describeDecoder(config, into);
    into
      .number("final_logit_softcapping", config.optionalNumber("final_logit_softcapping"))
      .count("attention.sliding_window", config.count("sliding_window"));
  },
  restore: (from) => restoreGemma(from, { largestLayers: 62 }),
};
