// Tensors whose type the user chose: they take no part in the choice, and their bytes are spent beforehand.
import {
  type ModelShape,
  type TypeAssignment,
  type TypeOverride,
  assignTypes,
} from "../../passes/quantize/assign-types.js";
import { type TensorDescription, isQuantizable } from "../../passes/quantize/tensor-role.js";

/**
 * The type of each pinned tensor, as `--tensor-type` gives it: the first pattern that matches counts, norms and other
 * tensors that no mixture touches are left alone, and a type that the rows can't hold becomes its usual fallback.
 *
 * @throws {UsageError} when a pattern is no regular expression, or a type has no fallback for a tensor's rows
 */
export function pinnedTypes(
  model: { readonly spec: ModelShape; readonly tensors: ReadonlyMap<string, TensorDescription> },
  pins: readonly TypeOverride[],
): Map<string, TypeAssignment> {
  const tensors = [...model.tensors.values()];
  const assigned = assignTypes({ tensors, spec: model.spec, preset: "f16", overrides: pins, hasImportance: true });
  const patterns = pins.map(({ pattern }) => new RegExp(pattern));
  const pinned = tensors.filter(
    (tensor) => isQuantizable(tensor) && patterns.some((pattern) => pattern.test(tensor.name)),
  );
  return new Map(pinned.map(({ name }) => [name, assigned.get(name)!]));
}
