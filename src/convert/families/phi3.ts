// Phi-3 and Phi-4-mini: queries, keys and values in one matrix, gate and up projection in another, both as llama.cpp wants
// them. Long contexts have a divisor per frequency, one list for short texts and one for long ones (LongRoPE).
// M. Abdin et al., *Phi-3 technical report*, arXiv:2404.14219.
import { FormatError } from "../../errors.js";
import { Config } from "../../formats/huggingface/config.js";
import type { JsonObject } from "../../formats/huggingface/json-file.js";
import { type ComputedTensor, type Family, requireValue } from "../family.js";
import { describeCounts } from "../number-names.js";
import type { Recollection } from "../recollection.js";
import { originalContext, ropeOf } from "../rope.js";
import { DECODER_COUNTS, OUTER_TENSORS, describeHeads, headCount, restoreDecoder } from "./decoder.js";

const LAYER = "model.layers.{layer}";

export const phi3: Family = {
  name: "Phi-3",
  classes: ["Phi3ForCausalLM"],
  architecture: "phi3",
  modelType: "phi3",
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
    describeCounts(config, into, DECODER_COUNTS);
    describeHeads(config, into);
    into
      .count("rope.scaling.original_context_length", originalContext(config, rope.parameters))
      .number("attention.layer_norm_rms_epsilon", config.number("rms_norm_eps"))
      .count("rope.dimension_count", rotatedLength(config))
      .number("rope.freq_base", rope.base)
      // 0 tells Phi-4 from Phi-3, which has a window in every layer.
      .count("attention.sliding_window", config.optionalCount("sliding_window") ?? 0)
      .number("rope.scaling.attn_factor", attentionFactor(config));
  },
  restore(from) {
    const perHead = from.count("embedding_length") / from.count("attention.head_count");
    return {
      ...restoreDecoder(from),
      original_max_position_embeddings: from.count("rope.scaling.original_context_length"),
      partial_rotary_factor: (from.optionalCount("rope.dimension_count") ?? perHead) / perHead,
      sliding_window: from.optionalCount("attention.sliding_window") || null,
      rope_scaling: restoreLongRope(from),
    };
  },
  computed(config) {
    const { parameters } = ropeOf(config);
    return [
      ...factors("rope_factors_long.weight", parameters, "long_factor", rotatedLength(config) / 2),
      ...factors("rope_factors_short.weight", parameters, "short_factor", rotatedLength(config) / 2),
    ];
  },
};

/** @throws {FormatError} when attention is scaled as no LongRoPE does it */
function restoreLongRope(from: Recollection): JsonObject | null {
  const [long, short] = ["long", "short"].map((length) => from.vectors.get(`rope_factors_${length}.weight`));
  if (!long || !short) return null;
  const config = new Config(from.path, {
    max_position_embeddings: from.count("context_length"),
    original_max_position_embeddings: from.count("rope.scaling.original_context_length"),
    rope_scaling: { type: "longrope", long_factor: [...long], short_factor: [...short] },
  });
  const scale = from.optionalCount("rope.scaling.attn_factor");
  if (scale !== undefined && scale !== Math.fround(attentionFactor(config)!)) {
    throw new FormatError(
      from.path,
      `Cannot export "${from.path}": its attention is scaled by ${scale}, which is not LongRoPE's`,
    );
  }
  return config.values["rope_scaling"] as JsonObject;
}

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
