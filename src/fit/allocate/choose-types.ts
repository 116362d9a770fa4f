// Which type each tensor gets so that the file has no more than its bytes and the predicted loss is least. Losses of
// tensors add up: what small errors of several layers do to a model is nearly the sum of what each does, in proportion to
// each layer's relative error (Malinovskii et al., 2024, "the linearity theorem", arXiv:2411.17525). Pure arithmetic: where
// the losses come from is not known here.
import { UsageError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { formatBytes, formatCount } from "../../support/units.js";
import { type Choice, packItems } from "./knapsack.js";
import { unitsOf } from "./link-tensors.js";

/** One type that a tensor can have, and what it would bring. */
export interface TypeOption {
  readonly type: GgmlType;
  /** What it adds to the file, padding included. */
  readonly bytes: number;
  /** What it adds to the divergence, in nats per token. */
  readonly loss: number;
  /** What it adds to the time of a token, in any unit; 0 when absent. */
  readonly cost?: number;
}

/** A tensor with its options; one that is pinned or can't be quantized has one. */
export interface TensorOptions {
  readonly name: string;
  readonly options: readonly TypeOption[];
}

export interface ChooseTypesRequest {
  readonly tensors: readonly TensorOptions[];
  /** Bytes of the whole file. */
  readonly budgetBytes: number;
  /** Bytes of the file that no choice changes: its header. Default 0. */
  readonly fixedBytes?: number;
  /** Names of tensors that must share a type, group by group; a tensor stands in one group at most. */
  readonly links?: readonly (readonly string[])[];
  /** Loss that one unit of cost is worth. Default 0: time does not matter. */
  readonly costWeight?: number;
}

/** Types by tensor, and their totals. */
export interface TypeChoice {
  readonly types: ReadonlyMap<string, GgmlType>;
  /** Bytes of the whole file. */
  readonly bytes: number;
  readonly loss: number;
  readonly cost: number;
  /** `loss + costWeight · cost`, which was made small, and a bound that no choice within the budget is below. */
  readonly objective: number;
  readonly objectiveBound: number;
}

/** A file as small as wanted can't be made. */
export class UnreachableSizeError extends UsageError {
  /** Bytes of the smallest file that can be made. */
  readonly smallestBytes: number;

  constructor(budgetBytes: number, smallestBytes: number) {
    super(
      `Cannot reach ${formatBytes(budgetBytes)} (${formatCount(budgetBytes)} bytes): the smallest mix of types takes ` +
        `${formatBytes(smallestBytes)} (${formatCount(smallestBytes)} bytes)`,
      { hint: `Ask for ${smallestBytes}B or more, pin fewer tensors to large types, or start from a smaller model` },
    );
    this.smallestBytes = smallestBytes;
  }
}

/** Of the budget at least so much is used where the types are fine enough. */
const FILL_SHARE = 0.995;

/**
 * Chooses a type for every tensor: least Σ loss + costWeight · Σ cost within the budget.
 *
 * The result is at most 0.5 % below the budget where the options allow it at next to no loss, and never above.
 *
 * @throws {UnreachableSizeError} when even the smallest options exceed the budget
 * @throws {RangeError} when an option's numbers are none, or linked tensors have no type in common
 * @example
 * const options = [{ type: "q4_0", bytes: 576, loss: 0.02 }, { type: "q8_0", bytes: 1088, loss: 0.0001 }] as const;
 * chooseTypes({ tensors: [{ name: "output.weight", options }], budgetBytes: 1000 }).types.get("output.weight"); // "q4_0"
 */
export function chooseTypes(request: ChooseTypesRequest): TypeChoice {
  const { tensors, budgetBytes, fixedBytes = 0, links = [], costWeight = 0 } = request;
  for (const tensor of tensors) checkOptions(tensor);
  const units = unitsOf(tensors, links);
  const items = units.map(({ options }) =>
    options.map(({ bytes, loss, cost = 0 }): Choice => ({ bytes, value: loss + costWeight * cost })),
  );
  const packing = packItems(items, budgetBytes - fixedBytes, FILL_SHARE * budgetBytes - fixedBytes);
  if (!packing) throw new UnreachableSizeError(budgetBytes, smallestBytes(request));
  const picked = units.map(({ options }, unit) => options[packing.picks[unit]!]!);
  return {
    types: new Map(units.flatMap(({ names }, unit) => names.map((name) => [name, picked[unit]!.type] as const))),
    bytes: packing.bytes + fixedBytes,
    loss: picked.reduce((total, { loss }) => total + loss, 0),
    cost: picked.reduce((total, { cost = 0 }) => total + cost, 0),
    objective: packing.value,
    objectiveBound: packing.valueBound,
  };
}

/** Bytes of the smallest file that the options allow. */
export function smallestBytes({
  tensors,
  fixedBytes = 0,
  links = [],
}: Omit<ChooseTypesRequest, "budgetBytes">): number {
  return unitsOf(tensors, links).reduce(
    (total, { options }) => total + Math.min(...options.map(({ bytes }) => bytes)),
    fixedBytes,
  );
}

function checkOptions({ name, options }: TensorOptions): void {
  if (options.length === 0) throw new RangeError(`Tensor "${name}" has no type to choose`);
  for (const { type, bytes, loss, cost = 0 } of options) {
    if (Number.isSafeInteger(bytes) && bytes >= 0 && loss >= 0 && loss < Infinity && Number.isFinite(cost)) continue;
    throw new RangeError(
      `Tensor "${name}" as ${type} has ${bytes} bytes, loss ${loss} and cost ${cost}; whole bytes and finite numbers are wanted`,
    );
  }
}
