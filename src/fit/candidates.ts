// What could be made of the models, and what of it fits the device: arithmetic on tensor tables, before anything is measured.
import type { GgmlType } from "../formats/gguf/ggml-types.js";
import { GGML_TYPES } from "../formats/gguf/ggml-types.js";
import { bitsPerWeight, bytesTouchedPerToken, memoryBytes } from "../model/memory.js";
import { type Model, type TensorShape, elementCount, tensorSizeBytes } from "../model/model.js";
import type { TypeAssignments, TypeChoices } from "../passes/quantize/assign-types.js";
import { assignTypes } from "../passes/quantize/assign-types.js";
import { type Candidate, enumerateCandidates, parseCandidateName } from "../passes/quantize/mixes.js";
import { predictSize } from "../passes/quantize/predict-size.js";
import { parsePreset } from "../passes/quantize/presets.js";
import { UsageError, messageOf } from "../errors.js";
import { sha256 } from "../support/files.js";
import { optional } from "../support/optional.js";
import type { Source } from "./adapted-base.js";
import type { Allocation } from "./allocate/allocate.js";
import { type DeviceSpec, misfit } from "./device.js";
import type { MixSize } from "./mix-sizes.js";

/** The name of a model that is left as it is. */
export const ORIGINAL = "original";

/** A model that candidates are made from. */
export interface BaseModel {
  path: string;
  /** As it was asked for: the same path, or `model.gguf+adapter.gguf` where the file at `path` was merged. */
  name: string;
  /** The files that it came from. */
  sources: readonly Source[];
  model: Model;
  sha256: string;
  /** All parts together. */
  sizeBytes: number;
}

/** A base model and what is done to it, with everything that can be known without measuring. */
export interface PlannedCandidate {
  /** Stable across runs: of the model's hash and what is done to it. */
  id: string;
  name: string;
  base: BaseModel;
  /** The first model, left as it is: what all others are compared with. */
  isBaseline: boolean;
  /** What it is made into: sizes and types, nothing to read. */
  made: Pick<Model, "spec" | "tensors">;
  /** Absent for the original. */
  quantize?: { preset: string } & Pick<TypeChoices, "outputType" | "tokenEmbeddingType" | "overrides">;
  /** Of a mix whose types are chosen for a size and that is rounded for a text: in place of `quantize`. */
  mix?: PlannedMix;
  /** Of a mix that does not fit, nobody has chosen them. */
  assignments?: TypeAssignments;
  sizeBytes: number;
  bitsPerWeight: number;
  /** What rounding is expected to cost, for an order to measure in: see `predictedLoss()`. */
  predictedLoss: number;
  /** Bits per weight of the type that most matrices are meant to have, of a mix those of all; infinite for the original. */
  blockBits: number;
  /** Weights, KV cache and compute buffers at the context length and micro-batch. */
  memoryBytes: number;
  /** Most tokens computed at once that the device's memory allows; llama.cpp's `--ubatch-size`. */
  microBatchSize: number;
  bytesTouchedPerToken: number;
  /** Why it does not fit the device; absent when it does. */
  misfit?: string;
}

/** What a mix is made for. */
export interface PlannedMix extends MixSize {
  /** Hash of the texts that it is calibrated on. */
  calibration: string;
}

/** llama.cpp's default and what a small device can be told instead: less memory for a slower prefill. */
const MICRO_BATCH_SIZES = [512, 256, 128, 64, 32, 16, 8] as const;

export interface CandidateOptions {
  device: DeviceSpec;
  contextLength: number;
  /** Only these names. */
  only?: readonly string[] | undefined;
}

/**
 * Every candidate of every model, smallest first.
 *
 * @throws {UsageError} when a name in `only` stands for nothing that can be made of a model
 */
export function planCandidates(bases: readonly BaseModel[], options: CandidateOptions): PlannedCandidate[] {
  return bySize(
    bases.flatMap((base, index) => {
      const original = { ...planOriginal(base, options), isBaseline: index === 0 };
      if (options.only) {
        return options.only.map((name) => (name.toLowerCase() === ORIGINAL ? original : named(base, name, options)));
      }
      const made = enumerateCandidates(base.model, { hasImportance: true }).filter(({ assignments }) =>
        changesTypes(base.model, assignments),
      );
      return [...made.map((candidate) => quantized(base, candidate, options)), original];
    }),
  );
}

/** Smallest first. */
export function bySize(candidates: readonly PlannedCandidate[]): PlannedCandidate[] {
  return [...candidates].sort((a, b) => a.sizeBytes - b.sizeBytes || (a.id < b.id ? -1 : 1));
}

/** A model as it is. */
export function planOriginal(base: BaseModel, options: CandidateOptions): PlannedCandidate {
  return planned(base, ORIGINAL, options, { isBaseline: true });
}

/** A mix of which only the size is known: every tensor has its share of that. */
export function sketched(base: BaseModel, mix: PlannedMix, options: CandidateOptions): PlannedCandidate {
  const share = mix.fileBytes / base.sizeBytes;
  const tensors = [...base.model.tensors].map(([name, tensor]): [string, TensorShape] => {
    const { shape, type, sizeBytes } = tensor;
    return [name, { name, shape, type, sizeBytes: Math.floor(share * sizeBytes) }];
  });
  return planned(base, mixName(mix), options, { mix, sizeBytes: mix.fileBytes, tensors: asTensors(tensors) });
}

/** A mix with its types. */
export function mixed(
  base: BaseModel,
  mix: PlannedMix,
  { assignments, sizeBytes }: Pick<Allocation, "assignments" | "sizeBytes">,
  options: CandidateOptions,
): PlannedCandidate {
  return planned(base, mixName(mix), options, { mix, assignments, sizeBytes });
}

function mixName({ size }: MixSize): string {
  return `mix@${size}`;
}

/** The smallest memory in which anything runs: what an impossible limit would have to be. */
export function nearestFeasible(candidates: readonly PlannedCandidate[]): PlannedCandidate | undefined {
  return candidates.reduce<PlannedCandidate | undefined>(
    (least, candidate) => (!least || candidate.memoryBytes < least.memoryBytes ? candidate : least),
    undefined,
  );
}

/** True when a model's weights have been rounded before: what is made of it loses twice. */
export function isQuantizedSource(model: Pick<Model, "tensors">): boolean {
  return [...model.tensors.values()].some(({ type }) => GGML_TYPES[type].quantized);
}

function planned(
  base: BaseModel,
  name: string,
  { device, contextLength }: CandidateOptions,
  made: {
    isBaseline?: boolean;
    sizeBytes?: number;
    assignments?: TypeAssignments;
    quantize?: PlannedCandidate["quantize"];
    mix?: PlannedMix;
    tensors?: Model["tensors"];
  },
): PlannedCandidate {
  const outcome = { spec: base.model.spec, tensors: made.tensors ?? tensorsAfter(base.model, made.assignments) };
  const sizeBytes = made.sizeBytes ?? base.sizeBytes;
  const plans = MICRO_BATCH_SIZES.map((batch) => ({
    batch,
    memory: memoryBytes(outcome, { contextLength, batch }).total,
  }));
  const plan =
    plans.find(({ memory }) => misfit(device, { memoryBytes: memory, fileBytes: 0 }) === undefined) ?? plans.at(-1)!;
  return {
    id: sha256(JSON.stringify([base.sha256, name, ...(made.mix ? [made.mix.calibration] : [])])).slice(0, 16),
    name,
    base,
    isBaseline: made.isBaseline ?? false,
    made: outcome,
    ...(made.quantize ? { quantize: made.quantize } : {}),
    ...(made.mix ? { mix: made.mix } : {}),
    ...(made.assignments ? { assignments: made.assignments } : {}),
    sizeBytes,
    bitsPerWeight: bitsPerWeight(outcome),
    predictedLoss: predictedLoss(base.model, made.assignments),
    blockBits: made.mix
      ? bitsPerWeight(outcome)
      : made.quantize
        ? GGML_TYPES[parsePreset(made.quantize.preset).type].bitsPerWeight
        : Infinity,
    memoryBytes: plan.memory,
    microBatchSize: plan.batch,
    bytesTouchedPerToken: bytesTouchedPerToken(outcome, contextLength),
    ...optional("misfit", misfit(device, { memoryBytes: plan.memory, fileBytes: sizeBytes })),
  };
}

/** A candidate by its name, whether or not it would have been proposed. */
function named(base: BaseModel, name: string, options: CandidateOptions): PlannedCandidate {
  const { tensors, spec } = base.model;
  try {
    const { preset, ...choices } = parseCandidateName(name);
    const assignments = assignTypes({ tensors: tensors.values(), spec, preset, hasImportance: true, ...choices });
    const sizeBytes = predictSize(base.model, assignments);
    return quantized(base, { name, preset: preset.name, ...choices, assignments, sizeBytes }, options);
  } catch (cause) {
    throw new UsageError(`"${name}" is no candidate for "${base.name}": ${messageOf(cause)}`, {
      hint: "Write a preset such as q4_K_M, one with another embedding such as q8_0+q5_1-embd, or original; mixes are named by --size 4.2bpw",
      cause,
    });
  }
}

function quantized(
  base: BaseModel,
  made: Omit<Candidate, "preset"> & { preset: string },
  options: CandidateOptions,
): PlannedCandidate {
  const { name, sizeBytes, assignments, preset, outputType, tokenEmbeddingType, overrides } = made;
  return planned(base, name, options, {
    sizeBytes,
    assignments,
    quantize: { preset, outputType, tokenEmbeddingType, overrides },
  });
}

/**
 * Mean of 4^-bits over all weights that are rounded anew: each bit halves the step, and the error grows with its square
 * (the high-resolution limit of rate and distortion). Weights that stay as they are lose nothing. Good enough for an order.
 */
function predictedLoss(model: Pick<Model, "tensors">, assignments?: TypeAssignments): number {
  let loss = 0;
  let weights = 0;
  for (const { name, shape, type } of model.tensors.values()) {
    const count = elementCount(shape);
    const to = assignments?.get(name)?.type ?? type;
    if (to !== type) loss += count * 4 ** -GGML_TYPES[to].bitsPerWeight;
    weights += count;
  }
  return loss / weights;
}

/** False for a candidate that would only copy, such as f16 of an f16 model: that is the original. */
function changesTypes(model: Pick<Model, "tensors">, assignments: TypeAssignments): boolean {
  return [...assignments].some(([name, { type }]) => model.tensors.get(name)?.type !== type);
}

/** The tensor table as it will be. */
function tensorsAfter(model: Pick<Model, "tensors">, assignments?: TypeAssignments): Model["tensors"] {
  if (!assignments) return model.tensors;
  const retyped = [...model.tensors].map(([name, tensor]): [string, TensorShape] => {
    const type: GgmlType = assignments.get(name)?.type ?? tensor.type;
    return [name, { name, shape: tensor.shape, type, sizeBytes: tensorSizeBytes(type, tensor.shape) }];
  });
  return asTensors(retyped);
}

function asTensors(tensors: readonly [string, TensorShape][]): Model["tensors"] {
  return new Map(tensors) as unknown as Model["tensors"]; // sizes and shapes are all that is asked of it
}
