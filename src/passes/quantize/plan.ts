// What quantizing this model with these options would do, tensor by tensor, and whether it can be done. Reads headers
// only, so a dry run and a real run see the same plan.
import type { Importance, ImportanceEntry } from "../../calibrate/importance.js";
import { UsageError } from "../../errors.js";
import { GGML_TYPES } from "../../formats/gguf/ggml-types.js";
import type { Metadata } from "../../formats/gguf/metadata.js";
import type { LazyTensor, Model } from "../../model/model.js";
import { type TypeAssignment, type TypeAssignments, assignTypes } from "./assign-types.js";
import { needsImportance } from "./importance-need.js";
import { outputMetadata } from "./output-metadata.js";
import { parseChoices } from "./parse-choices.js";
import type { QuantizeOptions } from "./quantize-options.js";

/** Importance data and the name under which the written file mentions it. */
export interface NamedImportance {
  readonly path: string;
  readonly data: Importance;
}

/** The outcome before anything is computed. */
export interface QuantizationPlan {
  readonly assignments: TypeAssignments;
  readonly metadata: Metadata;
}

/**
 * Plans a quantization.
 *
 * @throws {UsageError} when a name is unknown, a tensor needs importance data that is absent, importance data belongs to
 * another model, or a tensor is quantized already and `allowRequantize` is off
 */
export function planQuantization(
  model: Pick<Model, "spec" | "tensors" | "metadata">,
  options: QuantizeOptions,
  importance?: NamedImportance,
): QuantizationPlan {
  const { preset, choices } = parseChoices(options);
  const data = importance && importance.data.entries.size > 0 ? importance.data : undefined;
  const { spec, tensors } = model;
  const input = { ...choices, spec, preset, tensors: tensors.values(), hasImportance: data !== undefined };
  const assignments = assignTypes(input);
  const changed = [...tensors.values()].filter(({ name, type }) => assignments.get(name)!.type !== type);
  if (!options.allowRequantize) refuseRequantizing(changed, assignments);
  if (data) for (const tensor of changed) requireSameSize(tensor, data.entries.get(tensor.name), importance!.path);
  requireImportance(changed, assignments, preset.name, data);
  const note = data && {
    path: importance!.path,
    datasets: data.datasets,
    entriesCount: data.entries.size,
    chunksCount: data.chunkCount,
  };
  return { assignments, metadata: outputMetadata(model.metadata, preset.fileType, note) };
}

/** The entry that goes with a tensor, unless it is of another size, which only the embedding may be. */
export function importanceOf(tensor: LazyTensor, importance: Importance | undefined): ImportanceEntry | undefined {
  const entry = importance?.entries.get(tensor.name);
  return entry?.sums.length === importanceLength(tensor) ? entry : undefined;
}

/** One value per column and matrix: experts are counted apart. */
function importanceLength({ shape }: LazyTensor): number {
  return shape[0]! * (shape[2] ?? 1);
}

function refuseRequantizing(changed: readonly LazyTensor[], assignments: TypeAssignments): void {
  const already = changed.find(({ type }) => GGML_TYPES[type].quantized);
  if (!already) return;
  throw new UsageError(
    `Cannot quantize "${already.name}" from ${already.type} to ${assignments.get(already.name)!.type}: it is quantized already, and a second loss adds to the first`,
    { hint: "Start from the f16 or bf16 model, or accept the loss with --allow-requantize" },
  );
}

/** The embedding is no matrix product: data under its name describe the output that shares it, and may not fit. */
function requireSameSize(tensor: LazyTensor, entry: ImportanceEntry | undefined, path: string): void {
  const isEmbedding = tensor.name === "token_embd.weight" || tensor.name === "per_layer_token_embd.weight";
  if (!entry || isEmbedding || entry.sums.length === importanceLength(tensor)) return;
  throw new UsageError(
    `Importance data "${path}" has ${entry.sums.length} values for "${tensor.name}", ${importanceLength(tensor)} are wanted`,
    { hint: "Calibrate on this very model: pare calibrate MODEL TEXT -o FILE" },
  );
}

function requireImportance(
  changed: readonly LazyTensor[],
  assignments: TypeAssignments,
  preset: string,
  importance: Importance | undefined,
): void {
  const lacking = changed.filter((tensor) => {
    const assignment = assignments.get(tensor.name)!;
    return needsImportance(tensor.name, assignment, preset) && !importanceOf(tensor, importance);
  });
  if (lacking.length === 0) return;
  const [first] = lacking as [LazyTensor];
  const others = lacking.length > 1 ? ` and ${lacking.length - 1} more` : "";
  const { type } = assignments.get(first.name) as TypeAssignment;
  throw new UsageError(
    `Cannot quantize "${first.name}"${others} to ${type} without importance data: the result would be garbage`,
    {
      hint: importance
        ? `The importance data has no entry for "${first.name}"; calibrate with more text, or give it another type with --tensor-type`
        : "Run pare calibrate MODEL TEXT -o FILE and pass --imatrix FILE, or choose a larger type",
    },
  );
}
