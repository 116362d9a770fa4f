// llama.cpp's mixtures as a table: for each role, the first rule that fits gives the type; where none fits, the
// mixture's own type stands. The choices are Iwan Kawrakow's k-quants (llama.cpp #1684) and i-quants (#4773 and
// after); the source of truth is llama_tensor_get_type_impl() in llama-quant.cpp, and the tests compare with it.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { PresetName } from "./presets.js";
import type { TensorRole } from "./tensor-role.js";

/** What a rule can look at. */
export interface TensorFacts {
  readonly preset: string;
  readonly isFalcon: boolean;
  /** Query heads per KV head in the first layer, rounded down. */
  readonly queryHeadsPerKvHead: number;
  readonly experts: number;
  readonly hasImportance: boolean;
  /** Whether a row is a whole number of blocks of the mixture's own type. */
  readonly rowFits: boolean;
  /** How many tensors of this role came before. */
  readonly order: number;
  /** How many tensors of this role there are; for feed-forward tensors, how many layers. */
  readonly total: number;
  /** The layer: by name where experts share it, by order otherwise. */
  readonly layer: number;
}

/** One line of a mixture. */
export interface MixtureRule {
  readonly presets: readonly PresetName[] | "any";
  readonly type: GgmlType;
  readonly when: (facts: TensorFacts) => boolean;
  readonly because: string;
}

const VERY_LOW: readonly PresetName[] = ["iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq1_s", "iq1_m"];

/** The rules by role; roles that are absent always take the mixture's own type. */
export const MIXTURE_RULES: Partial<Record<TensorRole, readonly MixtureRule[]>> = {
  output: [
    rule(["mxfp4_moe"], "q8_0", "the output is no expert"),
    rule(
      "any",
      "q8_0",
      "Falcon's output, or rows that the mixture's type does not fit",
      (f) => f.isFalcon || !f.rowFits,
    ),
    rule(
      ["iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq1_s", "iq1_m", "iq3_xxs"],
      "q5_K",
      "the output decides every token",
    ),
    rule("any", "q6_K", "the output decides every token", (facts) => facts.preset !== "q8_0"),
  ],
  tokenEmbedding: [
    rule(["iq2_xxs", "iq2_xs", "iq1_s", "iq1_m"], "q2_K", "embeddings have no importance data"),
    rule(["iq2_s", "iq2_m", "iq3_xxs"], "iq3_s", "embeddings have no importance data"),
    rule(["tq1_0", "tq2_0", "q2_0"], "q4_K", "embeddings are not ternary"),
  ],
  value: [
    rule(VERY_LOW, "q4_K", "small, as heads or experts share it", (f) => f.queryHeadsPerKvHead >= 4 || f.experts >= 4),
    rule(["iq2_s", "iq2_m"], "iq3_s", "values are sensitive"),
    rule(VERY_LOW, "q2_K", "values are sensitive"),
    rule("any", "q8_0", "small beside eight experts", hasEightExperts),
    rule(["q2_K", "q2_K_S"], "q4_K", "small, as heads share it", sharesHeads),
    rule(["q2_K"], "q3_K", "values are sensitive"),
    rule(["iq3_xxs", "iq3_xs", "iq3_s"], "q4_K", "small, as heads share it", sharesHeads),
    rule(["iq3_xxs"], "iq3_s", "values are sensitive without importance", lacksImportance),
    rule(["iq3_m"], "q4_K", "values are sensitive"),
    rule(["q3_K_M"], "q5_K", "the first two layers are the most sensitive", (facts) => facts.order < 2),
    rule(["q3_K_M"], "q4_K", "values are sensitive"),
    rule(["q3_K_L"], "q5_K", "values are sensitive"),
    rule(["iq4_nl", "iq4_xs"], "q5_K", "small, as heads share it", sharesHeads),
    rule(["q4_K_M", "q5_K_M"], "q6_K", "more bits for the ends and every third between", ({ order, total }) =>
      isFavoured(order, total),
    ),
    rule(["q4_K_S"], "q5_K", "the first four layers are the most sensitive", (facts) => facts.order < 4),
  ],
  key: [
    rule(VERY_LOW, "q4_K", "small beside eight experts", hasEightExperts),
    rule("any", "q8_0", "small beside eight experts", hasEightExperts),
    rule(["iq3_xs"], "iq3_xxs", "keys bear it"),
    rule(["iq3_xxs"], "iq2_s", "keys bear it"),
  ],
  query: [rule(["iq3_xs"], "iq3_xxs", "queries bear it"), rule(["iq3_xxs"], "iq2_s", "queries bear it")],
  attentionOutput: [
    rule(VERY_LOW, "q5_K", "small beside eight experts", hasEightExperts),
    rule(["iq1_s", "iq1_m"], "iq2_xxs", "it writes to the residual stream"),
    rule(["iq2_s", "iq2_m"], "iq3_s", "it writes to the residual stream"),
    rule(["q3_K_L"], "q4_K", "Falcon's shape", (facts) => facts.isFalcon),
    rule(
      ["q2_K", "iq3_xs", "iq3_xxs", "q3_K_S", "q3_K_M", "iq4_nl", "q4_K_S", "q4_K_M", "iq3_s", "iq3_m", "iq4_xs"],
      "q5_K",
      "small beside eight experts",
      (facts) => !facts.isFalcon && hasEightExperts(facts),
    ),
    rule(["q2_K"], "q3_K", "it writes to the residual stream", isOrdinary),
    rule(["iq3_xxs"], "iq3_s", "it writes to the residual stream", isOrdinary),
    rule(["q3_K_M", "iq3_m"], "q4_K", "it writes to the residual stream", isOrdinary),
    rule(["q3_K_L"], "q5_K", "it writes to the residual stream", isOrdinary),
  ],
  ffnDown: [
    rule(["iq2_s", "iq2_m"], "iq3_s", "the first eighth is the most sensitive", isEarly),
    rule(VERY_LOW, "q2_K", "the first eighth is the most sensitive", isEarly),
    rule(["q2_K"], "q3_K", "it writes to the residual stream"),
    rule(["q2_K_S"], "q4_K", "the first eighth is the most sensitive", isInFirst(8)),
    rule(["iq3_xxs"], "q4_K", "the first eighth, without importance", (f) => !f.hasImportance && isInFirst(8)(f)),
    rule(["iq3_xxs"], "q3_K", "it is sensitive without importance", lacksImportance),
    rule(["q3_K_M"], "q5_K", "the first sixteenth is the most sensitive", isInFirst(16)),
    rule(["q3_K_M"], "q4_K", "it writes to the residual stream", (f) => !f.isFalcon || isFavoured(f.layer, f.total)),
    rule(["iq3_m"], "q4_K", "the first eighth is the most sensitive", isInFirst(8)),
    rule(
      ["iq3_m"],
      "q4_K",
      "one layer in three of eight experts",
      (f) => hasEightExperts(f) && isFavoured(f.layer, f.total),
    ),
    rule(["q3_K_L"], "q4_K", "Falcon's shape", (facts) => facts.isFalcon),
    rule(["q3_K_L"], "q5_K", "it writes to the residual stream"),
    rule(["q4_K_M"], "q6_K", "Falcon's first sixteenth", (f) => f.isFalcon && isInFirst(16)(f)),
    rule(
      ["q4_K_M"],
      "q5_K",
      "Falcon's ends and every third between",
      (f) => f.isFalcon && isFavoured(f.layer, f.total),
    ),
    rule(
      ["q4_K_M"],
      "q6_K",
      "more bits for the ends and every third between",
      (f) => !f.isFalcon && isFavoured(f.layer, f.total),
    ),
    rule(
      ["iq4_nl", "iq4_xs"],
      "q5_K",
      "the first eighth, without importance",
      (f) => !f.hasImportance && isInFirst(8)(f),
    ),
    rule(["q5_K_M"], "q6_K", "more bits for the ends and every third between", (f) => isFavoured(f.layer, f.total)),
    rule(["q4_K_S"], "q5_K", "the first eighth is the most sensitive", (f) => !f.isFalcon && isInFirst(8)(f)),
    rule(["q4_0"], "q4_1", "importance data can mislead the first eighth", (f) => f.hasImportance && isInFirst(8)(f)),
    rule(["q5_0"], "q5_1", "importance data can mislead the first eighth", (f) => f.hasImportance && isInFirst(8)(f)),
  ],
  ffnGate: [rule(["iq3_xs"], "iq3_xxs", "the middle three quarters bear it", isInTheMiddle)],
  ffnUp: [rule(["iq3_xs"], "iq3_xxs", "the middle three quarters bear it", isInTheMiddle)],
};

/** The first rule for this role that fits, or undefined where the mixture's own type stands. */
export function mixtureRule(role: TensorRole, facts: TensorFacts): MixtureRule | undefined {
  return MIXTURE_RULES[role]?.find(
    ({ presets, when }) => (presets === "any" || (presets as readonly string[]).includes(facts.preset)) && when(facts),
  );
}

function rule(
  presets: MixtureRule["presets"],
  type: GgmlType,
  because: string,
  when: MixtureRule["when"] = () => true,
): MixtureRule {
  return { presets, type, because, when };
}

/** The first and the last eighth, and every third layer between. */
function isFavoured(index: number, total: number): boolean {
  const eighth = Math.floor(total / 8);
  return index < eighth || index >= Math.floor((7 * total) / 8) || (index - eighth) % 3 === 2;
}

function isInFirst(share: number): (facts: TensorFacts) => boolean {
  return ({ layer, total }) => layer < Math.floor(total / share);
}

/** In the first eighth by order alone: the very low mixtures do not ask experts for their layer. */
function isEarly({ order, total }: TensorFacts): boolean {
  return order < Math.floor(total / 8);
}

function isInTheMiddle({ layer, total }: TensorFacts): boolean {
  return layer >= Math.floor(total / 8) && layer < Math.floor((7 * total) / 8);
}

function hasEightExperts({ experts }: TensorFacts): boolean {
  return experts === 8;
}

function sharesHeads({ queryHeadsPerKvHead }: TensorFacts): boolean {
  return queryHeadsPerKvHead >= 4;
}

function lacksImportance({ hasImportance }: TensorFacts): boolean {
  return !hasImportance;
}

function isOrdinary(facts: TensorFacts): boolean {
  return !facts.isFalcon && !hasEightExperts(facts);
}
