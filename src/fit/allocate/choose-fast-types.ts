// Types for a size where the time of a token counts too: some types take longer to decode than their bytes let expect.
import { type ChooseTypesRequest, type TypeChoice, chooseTypes } from "./choose-types.js";

/**
 * Percent of divergence that one percent of time is worth. Time is worth what bytes are: at 4.5 bits per weight one percent
 * of the bytes is 0.045 bits, and divergence falls fourfold per bit, so that buys 4^0.045 − 1 = 6 %.
 */
export const LATENCY_WORTH = 6;

/** What time is worth at the answer is not known before: tried are these multiples of what it is worth without regard to it. */
const WEIGHT_MULTIPLES: readonly number[] = [0.25, 0.5, 1, 2, 4, 8];

/**
 * Chooses types within the budget so that `loss · costᵂ` is small, W the worth: slow types have to earn their time.
 *
 * A choice that makes a product small also makes some sum `loss + weight · cost` small, so sums are tried.
 *
 * @param worth percent of loss per percent of cost
 * @throws {UnreachableSizeError} when even the smallest options exceed the budget
 */
export function chooseFastTypes(
  request: Omit<ChooseTypesRequest, "costWeight">,
  worth: number = LATENCY_WORTH,
): TypeChoice {
  const calm = chooseTypes(request);
  if (!(calm.cost > 0) || worth === 0) return calm;
  const weight = (worth * calm.loss) / calm.cost;
  const tried = WEIGHT_MULTIPLES.map((multiple) => chooseTypes({ ...request, costWeight: multiple * weight }));
  const merit = ({ loss, cost }: TypeChoice) => loss * cost ** worth;
  return tried.reduce((best, one) => (merit(one) < merit(best) ? one : best), calm);
}
