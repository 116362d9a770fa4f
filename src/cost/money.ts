// Money: what an hour costs, over the requests that it answers; and from how many requests on that beats a paid endpoint.
import { z } from "zod";

import { type Band, bandSchema, scaled } from "./band.js";
import type { Workload } from "./workload.js";

const HOURS_PER_MONTH = 730; // 8 760 hours of a year over twelve

export const moneySchema = z
  .object({
    perHour: z.number().describe("rent of the machine, or its electricity"),
    source: z.enum(["rent", "electricity"]),
    utilisation: z.number(),
    perThousandRequests: bandSchema,
    perMillionTokens: bandSchema.describe("prompt and answer tokens alike"),
  })
  .describe("USD");

export const breakEvenSchema = z
  .object({
    endpoint: z.object({
      promptPerMillion: z.number().describe("USD per million prompt tokens"),
      answerPerMillion: z.number().describe("USD per million answer tokens"),
    }),
    endpointPerThousandRequests: z.number(),
    ownPerMonth: z.number().describe("the machine all month, used or not"),
    requestsPerMonth: z.number().describe("from so many on the machine is cheaper than the endpoint"),
    capacityPerMonth: bandSchema.describe("what one machine can answer"),
    isReachable: z.boolean().describe("false where one machine can't answer so many"),
  })
  .describe("USD");

export type Money = z.infer<typeof moneySchema>;
export type BreakEven = z.infer<typeof breakEvenSchema>;
export type EndpointPrices = BreakEven["endpoint"];

export interface HourlyPrice {
  perHour: number;
  source: Money["source"];
}

/**
 * Cost of requests on a machine that is paid by the hour and works `utilisation` of it.
 *
 * @param secondsPerRequest time of the machine that one request takes: at four at once, a quarter of its latency
 */
export function moneyOf(price: HourlyPrice, secondsPerRequest: Band, workload: Workload): Money {
  const { utilisation, promptTokens, answerTokens } = workload;
  const perRequest = scaled(secondsPerRequest, price.perHour / 3600 / utilisation);
  return {
    ...price,
    utilisation,
    perThousandRequests: scaled(perRequest, 1000),
    perMillionTokens: scaled(perRequest, 1e6 / (promptTokens + answerTokens)),
  };
}

/** Requests a month from which a machine that runs all month costs less than an endpoint that is paid by the token. */
export function breakEvenOf(
  price: HourlyPrice,
  endpoint: EndpointPrices,
  secondsPerRequest: Band,
  { promptTokens, answerTokens }: Workload,
): BreakEven {
  const perRequest = (promptTokens * endpoint.promptPerMillion + answerTokens * endpoint.answerPerMillion) / 1e6;
  const ownPerMonth = price.perHour * HOURS_PER_MONTH;
  const requestsPerMonth = perRequest === 0 ? Number.MAX_SAFE_INTEGER : Math.ceil(ownPerMonth / perRequest);
  const monthSeconds = HOURS_PER_MONTH * 3600;
  const capacityPerMonth = {
    value: monthSeconds / secondsPerRequest.value,
    low: monthSeconds / secondsPerRequest.high,
    high: monthSeconds / secondsPerRequest.low,
  };
  return {
    endpoint,
    endpointPerThousandRequests: 1000 * perRequest,
    ownPerMonth,
    requestsPerMonth,
    capacityPerMonth,
    isReachable: requestsPerMonth <= capacityPerMonth.value,
  };
}

/**
 * Reads USD per million tokens of prompt and answer, such as `0.15/0.60`.
 *
 * @throws {RangeError} when it is none
 */
export function parseEndpointPrices(text: string): EndpointPrices {
  const match = /^\s*(\d+(?:\.\d+)?)\s*\/\s*(\d+(?:\.\d+)?)\s*$/.exec(text);
  if (!match) {
    throw new RangeError(`"${text}" is no price; write USD per million tokens of prompt and answer, such as 0.15/0.60`);
  }
  return { promptPerMillion: Number(match[1]), answerPerMillion: Number(match[2]) };
}
