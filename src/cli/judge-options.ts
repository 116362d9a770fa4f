// What commands that ask judges offer: the price of their tokens.
import type { EndpointPrices } from "../cost/money.js";
import { UsageError, messageOf } from "../errors.js";

export const JUDGE_PRICE = [
  "--judge-price <in/out>",
  "dollars per million tokens of a judge, such as 2.50/10",
] as const;

/** @throws {UsageError} when the text is no price */
export async function judgePrices(text: string | undefined): Promise<EndpointPrices | undefined> {
  if (text === undefined) return undefined;
  const { parseEndpointPrices } = await import("../cost/money.js");
  try {
    return parseEndpointPrices(text);
  } catch (cause) {
    throw new UsageError(`--judge-price: ${messageOf(cause)}`, { cause });
  }
}
