// How positions are rotated: one place for the spellings that configurations have had. Since transformers 5 they stand in
// `rope_parameters`, per kind of layer where there are two; before, in `rope_theta`, `rope_local_base_freq` and `rope_scaling`.
import { FormatError } from "../errors.js";
import { Config } from "../formats/huggingface/config.js";
import type { JsonObject } from "../formats/huggingface/json-file.js";
import type { ComputedTensor } from "./family.js";
import type { Hyperparameters } from "./hyperparameters.js";
import { type NumberNames, restoreNumbers } from "./number-names.js";
import type { Recollection } from "./recollection.js";

/** The rotation of all layers, or of those that see all tokens where others don't. */
export interface Rope {
  base: number | undefined;
  /** Of layers with a window, where it is another. */
  localBase: number | undefined;
  /** `default`, `linear`, `yarn`, `llama3`, `longrope`, … */
  type: string;
  /** The other parameters of the type. */
  parameters: Config;
}

export function ropeOf(config: Config): Rope {
  const all = config.section("rope_parameters") ?? config.section("rope_scaling") ?? new Config(config.path, {});
  const parameters = all.section("full_attention") ?? all;
  const local = all.section("sliding_attention");
  return {
    base: parameters.optionalNumber("rope_theta") ?? config.optionalNumber("rope_theta"),
    localBase: local?.optionalNumber("rope_theta") ?? config.optionalNumber("rope_local_base_freq"),
    type: (parameters.text("rope_type") ?? parameters.text("type") ?? "default").toLowerCase(),
    parameters,
  };
}

/** Of a scaled rotation. */
const SCALING_NUMBERS: NumberNames = {
  "rope.scaling.factor": "factor",
  "rope.scaling.original_context_length": "original_max_position_embeddings",
  "rope.scaling.yarn_ext_factor": "extrapolation_factor",
  "rope.scaling.yarn_attn_factor": "attention_factor",
  "rope.scaling.yarn_beta_fast": "beta_fast",
  "rope.scaling.yarn_beta_slow": "beta_slow",
};

/** Writes the rotation. @throws {FormatError} when llama.cpp has no such scaling */
export function describeRope(config: Config, into: Hyperparameters): void {
  const { base, localBase, type, parameters } = ropeOf(config);
  if (type === "linear") {
    into.text("rope.scaling.type", "linear").number("rope.scaling.factor", parameters.number("factor"));
  } else if (type === "yarn") {
    into
      .text("rope.scaling.type", "yarn")
      .number("rope.scaling.factor", parameters.number("factor"))
      .count("rope.scaling.original_context_length", originalContext(config, parameters))
      .number("rope.scaling.yarn_ext_factor", parameters.optionalNumber("extrapolation_factor"))
      .number(
        "rope.scaling.yarn_attn_factor",
        parameters.optionalNumber("attention_factor") ?? parameters.optionalNumber("attn_factor"),
      )
      .number("rope.scaling.yarn_beta_fast", parameters.optionalNumber("beta_fast"))
      .number("rope.scaling.yarn_beta_slow", parameters.optionalNumber("beta_slow"));
  } else if (!["default", "llama3"].includes(type)) {
    throw parameters.failure("rope_type", "default, linear, yarn or llama3");
  }
  into.number("rope.freq_base", base).number("rope.freq_base_swa", localBase);
}

/** `describeRope`, the other way. In the spelling that transformers and vLLM of all versions read. */
export function restoreRope(from: Recollection): JsonObject {
  const type = from.text("rope.scaling.type");
  const scaling = type === undefined || type === "none" ? undefined : restoreNumbers(from, SCALING_NUMBERS);
  return {
    rope_theta: from.number("rope.freq_base") ?? 10_000,
    ...restoreNumbers(from, { "rope.freq_base_swa": "rope_local_base_freq" }),
    ...(scaling && { rope_scaling: { rope_type: type, ...scaling } }),
  };
}

/** Tokens that the model was trained for before its context was stretched. */
export function originalContext(config: Config, parameters: Config): number {
  return (
    parameters.optionalCount("original_max_position_embeddings") ??
    config.optionalCount("original_max_position_embeddings") ??
    config.count("max_position_embeddings")
  );
}

/**
 * `rope_freqs.weight` of Llama 3.1 and after: what each pair's frequency is divided by. Long waves are stretched by
 * `factor`, short ones stay, and between them it changes smoothly.
 *
 * Computed in single precision, step by step, as torch does it.
 *
 * @param headLength elements of a head, twice the pairs
 */
export function llama3Frequencies(config: Config, headLength: number): ComputedTensor[] {
  const { base, type, parameters } = ropeOf(config);
  if (type !== "llama3") return [];
  const f = Math.fround;
  const factor = parameters.optionalNumber("factor") ?? 8;
  const low = parameters.optionalNumber("low_freq_factor") ?? 1;
  const high = parameters.optionalNumber("high_freq_factor") ?? 4;
  const context = parameters.optionalNumber("original_max_position_embeddings") ?? 8192;
  const over = (a: number, b: number) => f(f(1 / b) * a); // torch divides a number by a tensor so
  const values = Float32Array.from({ length: headLength / 2 }, (_, pair) => {
    const frequency = over(1, f((base ?? 10_000) ** f((2 * pair) / headLength)));
    const wave = over(2 * Math.PI, frequency);
    if (wave < context / high) return 1;
    if (wave > context / low) return factor;
    const smooth = f(f(over(context, wave) - low) / (high - low));
    return over(1, f(f(f(1 - smooth) / factor) + smooth));
  });
  return [{ name: "rope_freqs.weight", values }];
}

/** Of the models that have been published: 3.1 has 8, 3.2 has 32; the others are for models of one's own. */
const LLAMA3_FACTORS = [8, 32, 2, 4, 16, 64];
const LLAMA3_CONTEXTS = Array.from({ length: 14 }, (_, power) => 128 * 2 ** power);

/**
 * `llama3Frequencies`, the other way: of the parameters that there may be, those that give the very same numbers.
 *
 * @throws {FormatError} when there are none
 */
export function restoreLlama3(from: Recollection): JsonObject {
  const wanted = from.vectors.get("rope_freqs.weight");
  if (!wanted) return {};
  const rope_theta = from.number("rope.freq_base") ?? 10_000;
  for (const factor of LLAMA3_FACTORS) {
    for (const original_max_position_embeddings of LLAMA3_CONTEXTS) {
      const scaling = { factor, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings };
      const rope_scaling = { rope_type: "llama3", ...scaling };
      const [found] = llama3Frequencies(new Config(from.path, { rope_theta, rope_scaling }), 2 * wanted.length);
      if (found!.values.every((value, pair) => value === wanted[pair])) return { rope_scaling };
    }
  }
  const message = `Cannot export "${from.path}": its rotation is scaled (rope_freqs.weight) as no Llama 3's is`;
  throw new FormatError(from.path, message);
}
