// A type for every tensor of a model so that the file has the wanted size and the least predicted divergence: from the
// table of measurements to an assignment that `quantize` can write. Runs no model; a second for hundreds of tensors.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { type Model, tensorSizeBytes } from "../../model/model.js";
import type { TypeAssignment, TypeAssignments, TypeOverride } from "../../passes/quantize/assign-types.js";
import type { ImportanceNote } from "../../passes/quantize/output-metadata.js";
import { compareTensorNames } from "../../passes/quantize/tensor-role.js";
import { type CandidateTypesOptions, candidateTypes } from "./candidate-types.js";
import { chooseFastTypes } from "./choose-fast-types.js";
import {
  type ChooseTypesRequest,
  type TensorOptions,
  type TypeChoice,
  chooseTypes,
  smallestBytes,
} from "./choose-types.js";
import { type ByteCosts, decodeCost } from "./decode-cost.js";
import { completeErrors } from "./layer-error.js";
import { sameInputLinks } from "./link-tensors.js";
import type { Measurements } from "./measurement-schema.js";
import { pinnedTypes } from "./pinned-types.js";
import { type Sensitivity, type SubstitutionEvidence, fitSensitivity } from "./sensitivity.js";
import { headerBytes, paddedBytes, weightsTotal } from "./size-target.js";

export interface AllocateRequest extends CandidateTypesOptions {
  readonly model: Pick<Model, "spec" | "metadata" | "tensors">;
  /** What was measured of it. */
  readonly table: Pick<Measurements, "tensors">;
  /** Bytes that the file may have; see `targetBytes()`. */
  readonly fileBytes: number;
  /** Tensors whose type is given, by pattern. */
  readonly pins?: readonly TypeOverride[];
  /** Matrices that read one input share a type. Default false. */
  readonly linkSameInput?: boolean;
  /** `latency` weighs the time of a token too. Default `size`: divergence alone. */
  readonly minimize?: "size" | "latency";
  /** Time per byte by type, where it was measured. */
  readonly byteCosts?: ByteCosts;
  /** What the header will note about importance data. */
  readonly importance?: ImportanceNote;
}

export interface Allocation {
  /** A type for every tensor, in the order of the file. */
  readonly assignments: TypeAssignments;
  /** Exact bytes of the file: `predictSize()` gives the same. */
  readonly sizeBytes: number;
  /** Of tensor data, as llama.cpp counts. */
  readonly bitsPerWeight: number;
  /** Mean KL divergence that the sum of the parts comes to, nats per token; a bound that no mix of this size is below. */
  readonly predictedDivergence: number;
  readonly divergenceBound: number | undefined;
  /** Time of a token, in bytes of f16 that would take as long. */
  readonly decodeCost: number;
  /** The smallest file that could be asked for. */
  readonly smallestBytes: number;
  /** What the choice was made from. */
  readonly problem: ChooseTypesRequest;
}

/**
 * Chooses a type for every tensor.
 *
 * @throws {UnreachableSizeError} when no mix is as small; it has the size of the smallest
 * @throws {UsageError} when a pin's pattern is no regular expression
 */
export function allocate(request: AllocateRequest): Allocation {
  const { model } = request;
  const pinned = pinnedTypes(model, request.pins ?? []);
  const problem = allocationProblem(request, pinned);
  const choice = request.minimize === "latency" ? chooseFastTypes(problem) : chooseTypes(problem);
  return {
    assignments: assignmentsOf(model, choice, pinned),
    sizeBytes: choice.bytes,
    bitsPerWeight: bitsPerWeightOf(model, choice),
    predictedDivergence: choice.loss,
    divergenceBound: request.minimize === "latency" ? undefined : choice.objectiveBound,
    decodeCost: choice.cost,
    smallestBytes: smallestBytes(problem),
    problem,
  };
}

/** The types of an allocation by tensor. */
export function typesOf({ assignments }: Pick<Allocation, "assignments">): Map<string, GgmlType> {
  return new Map([...assignments].map(([name, { type }]) => [name, type]));
}

/** Assignments with other types for some tensors. */
export function reassign(assignments: TypeAssignments, types: ReadonlyMap<string, GgmlType>): TypeAssignments {
  return new Map(
    [...assignments].map(([name, assignment]) => {
      const type = types.get(name)!;
      return [name, type === assignment.type ? assignment : { type, because: "least divergence of the whole mix" }];
    }),
  );
}

/** The choice that `allocate()` has to make, in plain numbers: what `chooseTypes()` and `nearbyMixes()` take. */
export function allocationProblem(
  request: AllocateRequest,
  pinned: ReadonlyMap<string, TypeAssignment> = pinnedTypes(request.model, request.pins ?? []),
): ChooseTypesRequest {
  const tensors = typeOptions(request, pinned);
  const free = tensors.filter(({ options }) => options.length > 1).map(({ name }) => name);
  return {
    tensors,
    links: request.linkSameInput ? sameInputLinks(free) : [],
    budgetBytes: request.fileBytes,
    fixedBytes: headerBytes(request.model, request.importance),
  };
}

/** What each tensor can be, and what that would bring. */
export function typeOptions(
  request: Omit<AllocateRequest, "fileBytes">,
  pinned: ReadonlyMap<string, TypeAssignment> = pinnedTypes(request.model, request.pins ?? []),
): TensorOptions[] {
  const { model, table } = request;
  const { predict } = sensitivityOf(table);
  const known = new Set(Object.keys(table.tensors));
  return [...model.tensors.values()].map((tensor) => {
    const { name, shape, type: own } = tensor;
    const pin = pinned.get(name)?.type;
    const types = pin ? [pin] : known.has(name) ? candidateTypes(tensor, request) : [own];
    const errors = completeErrors(
      measuredErrors(table, name),
      types.filter((type) => type !== own),
    );
    const lossOf = (type: GgmlType) => (type === own || !known.has(name) ? 0 : predict(name, errors.get(type)!));
    return {
      name,
      options: types.map((type) => ({
        type,
        bytes: paddedBytes(type, shape, model),
        loss: lossOf(type),
        cost: decodeCost(model, tensor, type, request.byteCosts),
      })),
    };
  });
}

/** The sensitivities that a table's measurements come to. */
export function sensitivityOf(table: Pick<Measurements, "tensors">): Sensitivity {
  return fitSensitivity(
    Object.entries(table.tensors).map(([name, { types }]) => {
      const rounded = Object.entries(types) as [GgmlType, (typeof types)[GgmlType]][];
      const errors = completeErrors(
        measuredErrors(table, name),
        rounded.map(([type]) => type),
      );
      const substitutions = rounded.flatMap(([type, one]): SubstitutionEvidence[] =>
        one?.divergence ? [{ type, layerError: errors.get(type)!, ...one.divergence }] : [],
      );
      return { name, substitutions };
    }),
  );
}

function measuredErrors({ tensors }: Pick<Measurements, "tensors">, name: string): Map<GgmlType, number> {
  const rounded = Object.entries(tensors[name]?.types ?? {}) as [GgmlType, { layerError?: number }][];
  return new Map(rounded.flatMap(([type, { layerError }]) => (layerError === undefined ? [] : [[type, layerError]])));
}

function assignmentsOf(
  { tensors }: Pick<Model, "tensors">,
  { types }: TypeChoice,
  pinned: ReadonlyMap<string, TypeAssignment>,
): TypeAssignments {
  const names = [...tensors.keys()].sort(compareTensorNames);
  return new Map(
    names.map((name) => {
      const type = types.get(name)!;
      const isKept = type === tensors.get(name)!.type;
      const because = isKept ? "as it is" : "least divergence for its bytes";
      return [name, pinned.get(name) ?? { type, because }];
    }),
  );
}

function bitsPerWeightOf(model: Pick<Model, "tensors">, { types }: TypeChoice): number {
  let bytes = 0;
  for (const { name, shape } of model.tensors.values()) bytes += tensorSizeBytes(types.get(name)!, shape);
  return (bytes * 8) / weightsTotal(model);
}
