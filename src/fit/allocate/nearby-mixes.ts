// Mixes next to a chosen one that are predicted to be nearly as good: what to measure on the whole model when the
// predictions, which add up single substitutions, are to be checked. Each gives one tensor more bits and pays for it with
// another's. Which of them is really better, only measuring tells.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { ChooseTypesRequest, TypeOption } from "./choose-types.js";
import { type Unit, unitsOf } from "./link-tensors.js";

/** A mix that differs from the chosen one in one tensor that gains and at most one that pays. */
export interface NearbyMix {
  readonly types: ReadonlyMap<string, GgmlType>;
  /** The names that got another type. */
  readonly changed: readonly string[];
  /** Bytes of the whole file. */
  readonly bytes: number;
  readonly loss: number;
}

interface Change {
  readonly unit: Unit;
  readonly option: TypeOption;
  readonly bytes: number;
  readonly loss: number;
}

/**
 * The mixes within the budget that are nearest to a chosen one in predicted loss, best first: for each tensor that could
 * gain the best one.
 *
 * @param request what the choice was made from
 * @param types the choice
 * @param count how many at most
 */
export function nearbyMixes(
  request: ChooseTypesRequest,
  types: ReadonlyMap<string, GgmlType>,
  count: number,
): NearbyMix[] {
  const { tensors, budgetBytes, fixedBytes = 0, links = [] } = request;
  const units = unitsOf(tensors, links).map((unit) => ({ unit, now: optionNow(unit, types) }));
  const bytes = units.reduce((total, { now }) => total + now.bytes, fixedBytes);
  const loss = units.reduce((total, { now }) => total + now.loss, 0);
  const changes = units.flatMap(({ unit, now }) =>
    unit.options.map((option) => ({ unit, option, bytes: option.bytes - now.bytes, loss: option.loss - now.loss })),
  );
  const savings = changes.filter((change) => change.bytes < 0).sort((a, b) => a.loss - b.loss);
  const best = units.flatMap(({ unit }) => {
    const gains = changes.filter((change) => change.unit === unit && change.loss < 0);
    const pairs = gains.flatMap((gain) => withPayment(gain, savings, budgetBytes - bytes));
    return pairs.length > 0 ? [pairs.reduce((a, b) => (lossOf(b) < lossOf(a) ? b : a))] : [];
  });
  return best
    .sort((a, b) => lossOf(a) - lossOf(b))
    .slice(0, count)
    .map((changed) => ({
      types: new Map([
        ...types,
        ...changed.flatMap(({ unit, option }) => unit.names.map((n) => [n, option.type] as const)),
      ]),
      changed: changed.flatMap(({ unit }) => unit.names),
      bytes: bytes + changed.reduce((total, change) => total + change.bytes, 0),
      loss: loss + lossOf(changed),
    }));
}

/** The gain with the saving that pays for it at the least loss; alone where there is room for it. */
function withPayment(gain: Change, savings: readonly Change[], roomBytes: number): Change[][] {
  if (gain.bytes <= roomBytes) return [[gain]];
  const payer = savings.find((saving) => saving.unit !== gain.unit && gain.bytes + saving.bytes <= roomBytes);
  return payer ? [[gain, payer]] : [];
}

function lossOf(changes: readonly Change[]): number {
  return changes.reduce((total, { loss }) => total + loss, 0);
}

function optionNow({ names, options }: Unit, types: ReadonlyMap<string, GgmlType>): TypeOption {
  const [name] = names as [string];
  const option = options.find(({ type }) => type === types.get(name));
  if (!option) throw new RangeError(`Tensor "${name}" can't be ${types.get(name) ?? "without a type"}`);
  return option;
}
