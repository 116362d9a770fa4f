// Phi-3 and Phi-4-mini: queries, keys and values in one matrix, gate and up projection in another, both as llama.cpp wants
// them. Long contexts have a divisor per frequency, one list for short texts and one for long ones (LongRoPE).
// M. Abdin et al., *Phi-3 technical report*, arXiv:2404.14219.
import type { Config } from "../../formats/huggingface/config.js";
import { type ComputedTensor, type Family, requireValue } from "../family.js";
import { originalContext, ropeOf } from "../rope.js";
import { OUTER_TENSORS, headCount, kvHeadCount } from "./decoder.js";

const LAYER = "model.layers.{layer}";

export const phi3: Family = {
  name: "Phi-3",
  classes: ["Phi3ForCausalLM"],
  architecture: "phi3",
  defaults: { rope_theta: 10_000, rms_norm_eps: 1e-5, max_position_embeddings: 4096 },
  trustsMarks: true,
  tensors: {
    ...OUTER_TENSORS,
    [`${LAYER}.input_layernorm.weight`]: "blk.{layer}.attn_norm.weight",
    [`${LAYER}.self_attn.qkv_proj.weight`]: "blk.{layer}.attn_qkv.weight",
    [`${LAYER}.self_attn.o_proj.weight`]: "blk.{layer}.attn_output.weight",
    [`${LAYER}.post_attention_layernorm.weight`]: "blk.{layer}.ffn_norm.weight",
    [`${LAYER}.mlp.gate_up_proj.weight`]: "blk.{layer}.ffn_up.weight",
    [`${LAYER}.mlp.down_proj.weight`]: "blk.{layer}.ffn_down.weight",
  },
  describe(config, into) {
    requireValue(config, "hidden_act", "silu");
    const rope = ropeOf(config);
    into
      .count("context_length", config.count("max_position_embeddings"))
      .count("rope.scaling.original_context_length", originalContext(config, rope.parameters))
      .count("embedding_length", config.count("hidden_size"))
      .count("feed_forward_length", config.count("intermediate_size"))
      .count("block_count", config.count("num_hidden_layers"))
      .count("attention.head_count", headCount(config))
      .count("attention.head_count_kv", kvHeadCount(config))
      .number("attention.layer_norm_rms_epsilon", config.number("rms_norm_eps"))
      .count("rope.dimension_count", rotatedLength(config))
      .number("rope.freq_base", rope.base)
      // 0 tells Phi-4 from Phi-3, which has a window in every layer.
      .count("attention.sliding_window", config.optionalCount("sliding_window") ?? 0)
      .number("rope.scaling.attn_factor", attentionFactor(config));
  },
  computed(config) {
    const { parameters } = ropeOf(config);
    return [
      ...factors("rope_factors_long.weight", parameters, "long_factor", rotatedLength(config) / 2),
      ...factors("rope_factors_short.weight", parameters, "short_factor", rotatedLength(config) / 2),
    ];
  },
};

/** Elements of a head that are rotated. */
function rotatedLength(config: Config): number {
  const { parameters } = ropeOf(config);
  const share =
    parameters.optionalNumber("partial_rotary_factor") ?? config.optionalNumber("partial_rotary_factor") ?? 1;
  return Math.floor(Math.floor(share * config.count("hidden_size")) / headCount(config));
}

/** Attention grows with the logarithm of the stretch (LongRoPE, Y. Ding et al., arXiv:2402.13753). */
function attentionFactor(config: Config): number | undefined {
  const { type, parameters } = ropeOf(config);
  if (!parameters.has("long_factor")) return undefined;
  const original = originalContext(config, parameters);
  const stretch = config.count("max_position_embeddings") / original;
  if (type === "longrope" || type === "su") {
    return stretch > 1 ? Math.sqrt(1 + Math.log(stretch) / Math.log(original)) : 1;
  }
  if (type === "yarn") return stretch > 1 ? 0.1 * Math.log(stretch) + 1 : 1;
  throw parameters.failure("type", "longrope, su or yarn");
}

function factors(name: string, parameters: Config, key: string, length: number): ComputedTensor[] {
  const values = parameters.numbers(key);
  if (!values) return [];
  if (values.length !== length) throw parameters.failure(key, `a list of ${length} numbers`);
  return [{ name, values: Float32Array.from(values) }];
}
