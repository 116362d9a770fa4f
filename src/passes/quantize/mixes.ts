// Candidates for a search: llama.cpp's mixtures, and the same mixtures with another type for the token embedding and the
// output. Those two hold much of a small model's bytes and much of its quality, so they deserve a choice of their own:
// on stories15M, q8_0 blocks with a q5_1 embedding are smaller than q4_K_M and five times closer to the original.
import { PareError } from "../../errors.js";
import { type GgmlType, GGML_TYPES } from "../../formats/gguf/ggml-types.js";
import type { Model } from "../../model/model.js";
import { type TypeAssignments, type TypeChoices, assignTypes } from "./assign-types.js";
import { tensorsInNeed } from "./importance-need.js";
import { PRESETS, type Preset, type PresetName, parsePreset } from "./presets.js";
import { predictSize } from "./predict-size.js";

/** One way to quantize a model. */
export interface Candidate extends Pick<TypeChoices, "overrides" | "outputType" | "tokenEmbeddingType"> {
  /** Short and unique: `q4_K_M`, `q8_0+q5_1-embd`, `q3_K_M+q8_0-output`. */
  readonly name: string;
  readonly preset: PresetName;
  readonly assignments: TypeAssignments;
  /** Exact bytes of the file, without a note about importance data. */
  readonly sizeBytes: number;
}

export interface EnumerateOptions {
  /** Without importance data the very low mixtures are left out. */
  readonly hasImportance?: boolean;
  /** At most so many; plain mixtures stay, close neighbours in size go first. Default 48. */
  readonly candidatesMax?: number;
}

// Left out: `copy` and `f32` save nothing, `bf16` is no smaller than f16, and the last four suit only models that were trained for them.
const NO_CANDIDATES: ReadonlySet<PresetName> = new Set(["copy", "f32", "bf16", "tq1_0", "tq2_0", "q1_0", "q2_0"]);

// From large to small. An embedding or output is tried with each of these that is not too far from the blocks' own bits.
const EDGE_TYPES: readonly GgmlType[] = ["q8_0", "q6_K", "q5_1", "q5_K", "q4_K", "iq4_nl"];
const EDGE_BITS_BELOW = 3.6; // q8_0 blocks still gain from a q5_1 or iq4_nl … q4_K embedding
const EDGE_BITS_ABOVE = 4.3; // with 4-bit blocks a q8_0 embedding can pay, with 2-bit blocks it eats what was saved

/**
 * Proposes ways to quantize this model, smallest first, each with a different outcome: on models whose rows fall back to
 * larger types many mixtures coincide, and the first name in `PRESETS` is kept. Of a model that is quantized already only
 * smaller ones are proposed: what rounding took does not come back.
 */
export function enumerateCandidates(
  model: Pick<Model, "metadata" | "tensors" | "spec">,
  { hasImportance = false, candidatesMax = 48 }: EnumerateOptions = {},
): Candidate[] {
  const unique = new Map<string, Candidate>();
  const sizeBytesMax = isQuantized(model) ? sizeAsItIs(model) : Infinity;
  for (const { name, preset, ...choices } of proposals(model)) {
    const assignments = assign(model, preset, choices, hasImportance);
    if (!assignments || (!hasImportance && tensorsInNeed(assignments, preset).length > 0)) continue;
    const outcome = [...assignments.values()].map(({ type }) => type).join();
    if (unique.has(outcome)) continue;
    const sizeBytes = predictSize(model, assignments);
    if (sizeBytes < sizeBytesMax) unique.set(outcome, { name, preset, ...choices, assignments, sizeBytes });
  }
  return thinned(
    [...unique.values()].sort((a, b) => a.sizeBytes - b.sizeBytes),
    candidatesMax,
  );
}

/** Plain mixtures first, so that they keep their names where a variant comes to the same. */
function* proposals({ tensors, spec }: Pick<Model, "tensors" | "spec">) {
  const presets = PRESETS.filter(({ name }) => !NO_CANDIDATES.has(name) && (name !== "mxfp4_moe" || spec.experts > 1));
  const isTied = !tensors.has("output.weight");
  for (const preset of presets) yield { name: preset.name as string, preset: preset.name };
  for (const { name: preset, type } of presets) {
    if (!GGML_TYPES[type].quantized) continue;
    for (const edge of EDGE_TYPES.filter((edge) => isNear(edge, type))) {
      yield { name: `${preset}+${edge}-embd`, preset, tokenEmbeddingType: edge };
      if (isTied) continue; // the output is the embedding
      yield { name: `${preset}+${edge}-output`, preset, outputType: edge };
      yield { name: `${preset}+${edge}-embd-output`, preset, tokenEmbeddingType: edge, outputType: edge };
    }
  }
}

function isNear(edge: GgmlType, blocks: GgmlType): boolean {
  const difference = GGML_TYPES[edge].bitsPerWeight - GGML_TYPES[blocks].bitsPerWeight;
  return difference >= -EDGE_BITS_BELOW && difference <= EDGE_BITS_ABOVE;
}

function isQuantized({ tensors }: Pick<Model, "tensors">): boolean {
  return [...tensors.values()].some(({ type }) => GGML_TYPES[type].quantized);
}

function sizeAsItIs(model: Pick<Model, "metadata" | "tensors" | "spec">): number {
  return predictSize(model, assign(model, "copy", {}, false)!);
}

/** Undefined where the mixture can't hold this model's rows at all. */
function assign(
  { tensors, spec }: Pick<Model, "tensors" | "spec">,
  preset: PresetName,
  choices: TypeChoices,
  hasImportance: boolean,
): TypeAssignments | undefined {
  try {
    return assignTypes({ tensors: tensors.values(), spec, preset, hasImportance, ...choices });
  } catch (error) {
    if (error instanceof PareError) return undefined;
    throw error;
  }
}

/** Drops variants until few enough are left, each time the one that is closest in size to a neighbour. */
function thinned(candidates: Candidate[], candidatesMax: number): Candidate[] {
  const rest = [...candidates];
  while (rest.length > candidatesMax) {
    const gaps = rest.map((candidate, i) => {
      if (candidate.name === candidate.preset) return Infinity;
      const before = rest[i - 1]?.sizeBytes ?? 0;
      return (candidate.sizeBytes - before) / candidate.sizeBytes;
    });
    const closest = gaps.indexOf(Math.min(...gaps));
    if (gaps[closest] === Infinity) break;
    rest.splice(closest, 1);
  }
  return rest;
}

/** Reads a candidate's name back into the choices it stands for. */
export function parseCandidateName(
  name: string,
): { preset: Preset } & Pick<TypeChoices, "outputType" | "tokenEmbeddingType"> {
  const [preset, edge] = name.split("+");
  const match = /^(.+?)-(embd-output|embd|output)$/.exec(edge ?? "");
  const type = match?.[1] as GgmlType | undefined;
  return {
    preset: parsePreset(preset!),
    ...(match?.[2]?.includes("embd") ? { tokenEmbeddingType: type } : {}),
    ...(match?.[2]?.includes("output") ? { outputType: type } : {}),
  };
}
