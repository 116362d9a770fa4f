// Which tensors would come out as garbage without importance data. llama.cpp refuses those, and so does Pare.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { TypeAssignment, TypeAssignments } from "./assign-types.js";

// Codebooks so coarse that the choice of entries must know which columns matter.
const NEEDED: ReadonlySet<GgmlType> = new Set(["iq3_xxs", "iq2_xxs", "iq2_xs", "iq2_s", "iq1_m", "iq1_s"]);
// ggml's own encoders of these stop the process without it, whatever the tensor.
const NEEDED_ALWAYS: ReadonlySet<GgmlType> = new Set(["iq2_xxs", "iq2_xs", "iq1_s"]);
// Calibration sees the inputs of matrix products; an embedding has none, an output is spared as the mixtures give it more bits.
const SPARED: ReadonlySet<string> = new Set(["token_embd.weight", "per_layer_token_embd.weight", "output.weight"]);

/** True when this tensor can't be quantized to its type without importance data. */
export function needsImportance(name: string, { type }: TypeAssignment, preset: string): boolean {
  if (NEEDED_ALWAYS.has(type)) return true;
  if (SPARED.has(name)) return false;
  return NEEDED.has(type) || (type === "q2_K" && preset === "q2_K_S");
}

/** Names of the tensors that can't be quantized without importance data. */
export function tensorsInNeed(assignments: TypeAssignments, preset: string): string[] {
  return [...assignments]
    .filter(([name, assignment]) => needsImportance(name, assignment, preset))
    .map(([name]) => name);
}
