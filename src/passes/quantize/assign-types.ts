// Which type each tensor gets: llama.cpp's choice for every mixture, its fallbacks for rows that no block of 256 fits,
// and the user's own choices. Pure and cheap, so that a search can ask for hundreds. Nothing is quantized here.
import { UsageError } from "../../errors.js";
import { type GgmlType, GGML_TYPES } from "../../formats/gguf/ggml-types.js";
import { type TensorFacts, mixtureRule } from "./mixture-rules.js";
import { type Preset, parsePreset } from "./presets.js";
import {
  type TensorDescription,
  type TensorRole,
  compareTensorNames,
  isQuantizable,
  layerOf,
  roleOf,
} from "./tensor-role.js";

/** What the mixtures look at besides the tensors; a `ModelSpec` has all of it. */
export interface ModelShape {
  readonly architecture: string;
  readonly layers: number;
  /** Query heads per layer. */
  readonly heads: readonly number[];
  readonly kvHeads: readonly number[];
  readonly experts: number;
}

/** A tensor whose name the pattern matches gets the type. */
export interface TypeOverride {
  /** An ECMAScript regular expression, searched for anywhere in the tensor's name. */
  readonly pattern: string;
  readonly type: GgmlType;
}

/** What may be chosen besides the mixture. */
export interface TypeChoices {
  /** The first pattern that matches wins over the mixture, not over the two types below. */
  readonly overrides?: readonly TypeOverride[];
  /** For `output.weight`, or for the token embedding where the output shares it. */
  readonly outputType?: GgmlType;
  readonly tokenEmbeddingType?: GgmlType;
  /** Every matrix gets the mixture's own type. */
  readonly pure?: boolean;
  /** `output.weight` stays as it is. */
  readonly keepOutput?: boolean;
}

export interface AssignTypesInput extends TypeChoices {
  readonly tensors: Iterable<TensorDescription>;
  readonly spec: ModelShape;
  readonly preset: Preset | string;
  /** Some mixtures choose more carefully without importance data. */
  readonly hasImportance: boolean;
}

/** What one tensor becomes. */
export interface TypeAssignment {
  readonly type: GgmlType;
  /** The type that was meant, where the row length did not allow it. */
  readonly fallbackFrom?: GgmlType;
  /** Why, as one phrase. */
  readonly because: string;
}

/** Assignments by tensor name, in llama.cpp's order of tensors, which is the order in the file. */
export type TypeAssignments = ReadonlyMap<string, TypeAssignment>;

/**
 * Chooses a type for every tensor, as `llama_model_quantize` does. Where llama.cpp would stop at an output or embedding
 * type that the rows do not fit, the usual fallback is taken. Overrides also work with `f16`, `bf16` and `f32`, where llama.cpp ignores them.
 *
 * @throws {UsageError} when a pattern is no regular expression, or a type has no fallback for a tensor's rows
 * @throws {RangeError} when the preset is unknown
 */
export function assignTypes(input: AssignTypesInput): TypeAssignments {
  const preset = typeof input.preset === "string" ? parsePreset(input.preset) : input.preset;
  const tensors = [...input.tensors].sort((a, b) => compareTensorNames(a.name, b.name));
  const mixture = new Mixture(preset, input, tensors);
  return new Map(tensors.map((tensor) => [tensor.name, mixture.assign(tensor)]));
}

/** The types that a row length rules out, with what takes their place: types with shorter blocks and no fewer bits. */
const FALLBACKS: Partial<Record<GgmlType, GgmlType>> = {
  iq1_s: "iq4_nl",
  iq1_m: "iq4_nl",
  iq2_xxs: "iq4_nl",
  iq2_xs: "iq4_nl",
  iq2_s: "iq4_nl",
  iq3_xxs: "iq4_nl",
  iq3_s: "iq4_nl",
  iq4_xs: "iq4_nl",
  q2_0: "q4_0",
  q2_K: "q4_0",
  q3_K: "q4_0",
  tq1_0: "q4_0",
  tq2_0: "q4_0",
  q4_K: "q5_0",
  q5_K: "q5_1",
  q6_K: "q8_0",
};

/** One walk over a model's tensors, counting each role as it goes. */
class Mixture {
  readonly #preset: Preset;
  readonly #input: AssignTypesInput;
  readonly #overrides: { pattern: RegExp; type: GgmlType }[];
  readonly #tiedEmbeddings: boolean;
  readonly #values: number;
  readonly #seen = new Map<TensorRole, number>();

  constructor(preset: Preset, input: AssignTypesInput, tensors: readonly TensorDescription[]) {
    this.#preset = preset;
    this.#input = input;
    this.#overrides = (input.overrides ?? []).map(({ pattern, type }) => ({ pattern: compilePattern(pattern), type }));
    this.#tiedEmbeddings = !tensors.some(({ name }) => name === "output.weight");
    this.#values = tensors.filter(({ name }) => roleOf(name) === "value").length;
  }

  assign(tensor: TensorDescription): TypeAssignment {
    const { outputType, tokenEmbeddingType, keepOutput } = this.#input;
    const role = roleOf(tensor.name);
    const override = this.#overrides.find(({ pattern }) => pattern.test(tensor.name));
    if (this.#preset.name === "copy") return keep(tensor, "copied");
    if (!isQuantizable(tensor)) return keep(tensor, "too small or too sensitive");
    if (keepOutput && tensor.name === "output.weight") return keep(tensor, "the output is to stay");
    // The per-layer embedding table can be named by an override; the usual one can't.
    const isNamed = tensor.name === "per_layer_token_embd.weight" && override !== undefined;
    if (tokenEmbeddingType && role === "tokenEmbedding" && !isNamed) {
      return fit(tensor, tokenEmbeddingType, "chosen for the token embedding");
    }
    if (outputType && role === "output") return fit(tensor, outputType, "chosen for the output");
    if (override) return fit(tensor, override.type, `matches ${override.pattern.source}`);
    if (!GGML_TYPES[this.#preset.type].quantized) return { type: this.#preset.type, because: "the same type for all" };
    if (this.#input.pure || this.#preset.pure) return fit(tensor, this.#preset.type, "the same type for all");
    const { type, because } = this.#mix(tensor, role);
    return fit(tensor, type, because);
  }

  /** The mixture's own choice, before the row length is looked at. */
  #mix(tensor: TensorDescription, role: TensorRole): { type: GgmlType; because: string } {
    const isOutput = role === "output" || (role === "tokenEmbedding" && this.#tiedEmbeddings);
    if (isOutput && this.#input.outputType) return { type: this.#input.outputType, because: "chosen for the output" };
    if (!isOutput && this.#preset.name === "mxfp4_moe") return this.#expertsOnly(tensor, role);
    const facts = this.#facts(tensor, role);
    this.#seen.set(role, facts.order + 1);
    const chosen = mixtureRule(isOutput ? "output" : role, facts) ?? {
      type: this.#preset.type,
      because: "the mixture's own type",
    };
    return role === "value" ? this.#liftLarge(chosen) : chosen;
  }

  /** `mxfp4_moe`: stacked expert matrices alone. */
  #expertsOnly({ shape }: TensorDescription, role: TensorRole): { type: GgmlType; because: string } {
    const isFeedForward = role === "ffnUp" || role === "ffnGate" || role === "ffnDown";
    const stacksOther = this.#input.spec.architecture === "bailingmoe3"; // its attention projections are stacked too
    return (shape[2] ?? 1) > 1 && (isFeedForward || !stacksOther)
      ? { type: "mxfp4", because: "an expert" }
      : { type: "q8_0", because: "no expert" };
  }

  /** In models of Llama 2 70B's kind eight heads share a value matrix, so it is small and more bits cost little. */
  #liftLarge(chosen: { type: GgmlType; because: string }): { type: GgmlType; because: string } {
    const isVeryLow = /^iq[12]/.test(this.#preset.name);
    if (isVeryLow || !isLargeGrouped(this.#input.spec) || (chosen.type !== "q3_K" && chosen.type !== "q4_K"))
      return chosen;
    return { type: "q5_K", because: "small, as eight heads share it" };
  }

  #facts({ name, shape }: TensorDescription, role: TensorRole): TensorFacts {
    const { spec, hasImportance } = this.#input;
    const order = this.#seen.get(role) ?? 0;
    return {
      preset: this.#preset.name,
      isFalcon: spec.architecture === "falcon",
      queryHeadsPerKvHead: spec.kvHeads[0] ? Math.floor((spec.heads[0] ?? 0) / spec.kvHeads[0]) : 0,
      experts: spec.experts,
      hasImportance,
      rowFits: shape[0]! % GGML_TYPES[this.#preset.type].blockSize === 0,
      order,
      total: role === "value" ? this.#values : spec.layers,
      layer: spec.experts > 1 ? layerOf(name) : order,
    };
  }
}

function keep({ type }: TensorDescription, because: string): TypeAssignment {
  return { type, because };
}

/** The type itself where its blocks fit the rows, otherwise its fallback, otherwise f16. */
function fit({ name, shape }: TensorDescription, type: GgmlType, because: string): TypeAssignment {
  const columns = shape[0]!;
  const fits = (candidate: GgmlType) => columns % GGML_TYPES[candidate].blockSize === 0;
  if (fits(type)) return { type, because };
  const fallback = FALLBACKS[type];
  if (!fallback && GGML_TYPES[type].blockSize > 32) {
    throw new UsageError(
      `Cannot store "${name}" as ${type}: its rows of ${columns} are not a multiple of ${GGML_TYPES[type].blockSize}`,
      { hint: `Choose another type, or give this tensor its own with --tensor-type` },
    );
  }
  return { type: fallback && fits(fallback) ? fallback : "f16", fallbackFrom: type, because };
}

function compilePattern(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (cause) {
    throw new UsageError(`"${pattern}" is no regular expression`, {
      hint: `Write a tensor's name or a part of it, such as ffn_down or ^blk\\.0\\.`,
      cause,
    });
  }
}

// The architectures that have a model of 70 billion weights with grouped heads, by its number of layers.
const LARGE_GROUPED: Readonly<Record<string, number>> = {
  llama: 80,
  "llama-embed": 80,
  deci: 80,
  olmo: 80,
  qwen2: 80,
  jais2: 68,
};

function isLargeGrouped({ architecture, layers, heads, kvHeads, experts }: ModelShape): boolean {
  if (layers !== LARGE_GROUPED[architecture]) return false;
  return !architecture.startsWith("llama") || (experts !== 8 && heads[0] !== kvHeads[0]);
}
