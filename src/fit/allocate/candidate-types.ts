// The types that a tensor can be stored as in a mix: those whose blocks its rows hold, smaller than what it is now, and
// what it is now. Types that are dominated by another stay in: which one that is depends on the tensor.
import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";
import { needsImportance } from "../../passes/quantize/importance-need.js";
import { type TensorDescription, isQuantizable } from "../../passes/quantize/tensor-role.js";

/**
 * From small to large. Left out: types below two bits, which lose to fewer weights, and those that suit only models that
 * were trained for them.
 */
export const MIX_TYPES: readonly GgmlType[] = [
  "iq2_xxs",
  "iq2_xs",
  "iq2_s",
  "q2_K",
  "iq3_xxs",
  "iq3_s",
  "q3_K",
  "iq4_xs",
  "iq4_nl",
  "q4_0",
  "q4_K",
  "q4_1",
  "q5_0",
  "q5_K",
  "q5_1",
  "q6_K",
  "q8_0",
  "f16",
];

export interface CandidateTypesOptions {
  /** Types to choose from; {@link MIX_TYPES} by default. */
  readonly types?: readonly GgmlType[];
  /** Where there are no data on a tensor's inputs, types that would come out as garbage are left out. Default: there are. */
  readonly hasImportance?: (name: string) => boolean;
}

/**
 * The types that are open to a tensor, smallest first, its own last. A tensor that no mixture touches keeps its own.
 */
export function candidateTypes(tensor: TensorDescription, options: CandidateTypesOptions = {}): GgmlType[] {
  const { types = MIX_TYPES, hasImportance = () => true } = options;
  if (!isQuantizable(tensor)) return [tensor.type];
  const bits = (type: GgmlType) => GGML_TYPES[type].bitsPerWeight;
  const smaller = types.filter(
    (type) =>
      holdsRows(type, tensor.shape[0]!) &&
      bits(type) < bits(tensor.type) &&
      (hasImportance(tensor.name) || !needsImportance(tensor.name, { type, because: "" }, "")),
  );
  return [...new Set(smaller)].sort((a, b) => bits(a) - bits(b)).concat(tensor.type);
}

/** True when rows of so many elements are whole blocks of the type. */
export function holdsRows(type: GgmlType, columns: number): boolean {
  return columns % GGML_TYPES[type].blockSize === 0;
}
