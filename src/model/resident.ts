// How much memory the system will see a process take that runs a model: not all that is set up is ever written, and some that is not
// in the engine's sums is there as well.
import type { GgmlType } from "../formats/gguf/ggml-types.js";
import { type MemoryOptions, memoryBytes } from "./memory.js";
import type { Model } from "./model.js";

/** A process of Node 20 with the engine loaded and no model, measured on Linux x64. */
export const EMPTY_PROCESS_BYTES = 61e6;
/** What the engine keeps besides weights, cache and buffers: graph, tables, batches. */
const ENGINE_BYTES = 5e6;
/** A token of the vocabulary with its text and its place in two tables; a merge with its pair of texts. Both measured. */
const TOKEN_BYTES = 160;
const MERGE_BYTES = 170;

export interface ResidentOptions extends MemoryOptions {
  /** Types whose weights the engine keeps a rearranged copy of, beside the file that it maps. */
  rearranged?: ReadonlySet<GgmlType>;
  emptyBytes?: number;
}

/**
 * Resident memory of a process that answers one request at a time, its file mapped and read through.
 *
 * Logits are set up for a whole batch, but only those asked for are ever written.
 */
export function residentBytes(
  model: Pick<Model, "spec" | "tensors" | "metadata">,
  options: ResidentOptions = {},
): number {
  const { rearranged, emptyBytes = EMPTY_PROCESS_BYTES } = options;
  const { total } = memoryBytes(model, { outputs: 1, ...options });
  const copies = [...model.tensors.values()]
    .filter(({ type, name, shape }) => rearranged?.has(type) && shape.length > 1 && name !== "token_embd.weight")
    .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const merges = model.metadata.array("tokenizer.ggml.merges")?.length ?? 0;
  return Math.round(
    emptyBytes + ENGINE_BYTES + total + copies + TOKEN_BYTES * model.spec.vocabularySize + MERGE_BYTES * merges,
  );
}
