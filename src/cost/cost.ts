// What a model costs on a device: memory, time, energy, CO2 and money of one kind of request. Pure arithmetic: what was measured or
// predicted comes from outside, and every number says which of the two it is.
import { z } from "zod";

import { type Band, bandSchema, exactly, falling, plus } from "./band.js";
import {
  type MeasuredEnergy,
  type Speeds,
  carbonOf,
  carbonSchema,
  energyOfMeter,
  energyOfWatts,
  energySchema,
} from "./energy.js";
import type { Grid } from "./grid.js";
import { type EndpointPrices, type HourlyPrice, breakEvenOf, breakEvenSchema, moneyOf, moneySchema } from "./money.js";
import { percentilesSchema } from "./percentiles.js";
import { type Workload, workloadSchema } from "./workload.js";

/** What a server's clients see, measured with all of them asking at once, again and again. */
export const loadSchema = z.object({
  concurrency: z.number().int(),
  requests: z.number().int().describe("requests that were answered"),
  promptTokens: z.number().int().describe("of each, after the model's limits"),
  answerTokens: z.number().int(),
  firstTokenSeconds: percentilesSchema.describe("from asking to the first token, waiting included"),
  tokenSeconds: percentilesSchema.describe("from one token of an answer to the next"),
  answerTokensPerSecond: z.number().describe("over all answers at once"),
  secondsPerRequest: z.number().describe("time of the machine: wall time over requests"),
});

export const memoryCostSchema = z
  .object({
    weightsBytes: z.number().int(),
    kvCacheBytes: z.number().int().describe("of all answers at once"),
    computeBytes: z.number().int(),
    totalBytes: z.number().int(),
    kvBytesPerToken: z.number().describe("that a further token of one answer adds while no window is full"),
    attention: z.string().describe("how heads share keys and values, and how far they look back"),
    residentBytes: z.number().int().optional().describe("measured: memory of the process after the test"),
  })
  .describe("bytes at the context length");

export const costSchema = z.object({
  device: z.string(),
  source: z.enum(["measured", "predicted"]).describe("where the speeds come from; all else follows from them"),
  workload: workloadSchema,
  contextLength: z.number().int(),
  fileBytes: z.number().int(),
  memory: memoryCostSchema,
  prefillTokensPerSecond: bandSchema.nullable(),
  decodeTokensPerSecond: bandSchema.nullable(),
  firstTokenSeconds: bandSchema.nullable().describe("of one request on an idle machine"),
  requestSeconds: bandSchema.nullable().describe("of one request on an idle machine"),
  load: z.array(loadSchema).optional().describe("measured under concurrency"),
  energy: energySchema.nullable().describe("null where neither a meter nor the device's watts are known"),
  carbon: carbonSchema.nullable(),
  money: moneySchema.nullable().describe("null where no price of an hour is known"),
  breakEven: breakEvenSchema.nullable(),
});

export type Load = z.infer<typeof loadSchema>;
export type MemoryCost = z.infer<typeof memoryCostSchema>;
export type Cost = z.infer<typeof costSchema>;

/** The terms on which a device is had. */
export interface Terms {
  watts?: number | undefined;
  /** USD for an hour of rent. */
  pricePerHour?: number | undefined;
  /** USD for a kilowatt-hour, where the machine is one's own. */
  pricePerKilowattHour?: number | undefined;
  grid: Grid;
  endpoint?: EndpointPrices | undefined;
}

export interface CostQuestion {
  device: string;
  source: Cost["source"];
  workload: Workload;
  contextLength: number;
  fileBytes: number;
  memory: MemoryCost;
  speeds: Speeds;
  load?: Load[] | undefined;
  meter?: MeasuredEnergy | undefined;
  terms: Terms;
}

/** Puts the cost of one model on one device together. */
export function costOf(question: CostQuestion): Cost {
  const { device, source, workload, contextLength, fileBytes, memory, speeds, load, meter, terms } = question;
  const prefillSeconds = times(speeds.prefillTokensPerSecond, workload.promptTokens);
  const decodeSeconds = times(speeds.decodeTokensPerSecond, workload.answerTokens);
  const tokenSeconds = times(speeds.decodeTokensPerSecond, 1);
  const requestSeconds = prefillSeconds && decodeSeconds && plus(prefillSeconds, decodeSeconds);
  const energy = meter
    ? energyOfMeter(meter, workload)
    : terms.watts === undefined
      ? null
      : energyOfWatts(terms.watts, speeds, workload);
  const busy = load?.find(({ concurrency }) => concurrency === workload.concurrency);
  const machineSeconds = busy ? exactly(busy.secondsPerRequest) : requestSeconds;
  const price = hourlyPrice(terms);
  return {
    device,
    source,
    workload,
    contextLength,
    fileBytes,
    memory,
    ...speeds,
    firstTokenSeconds: prefillSeconds && tokenSeconds && plus(prefillSeconds, tokenSeconds),
    requestSeconds,
    ...(load ? { load } : {}),
    energy,
    carbon: energy && carbonOf(energy, terms.grid, workload),
    money: price && machineSeconds && moneyOf(price, machineSeconds, workload),
    breakEven:
      price && machineSeconds && terms.endpoint ? breakEvenOf(price, terms.endpoint, machineSeconds, workload) : null,
  };
}

function hourlyPrice({ pricePerHour, pricePerKilowattHour, watts }: Terms): HourlyPrice | null {
  if (pricePerHour !== undefined) return { perHour: pricePerHour, source: "rent" };
  if (pricePerKilowattHour === undefined || watts === undefined) return null;
  return { perHour: (watts / 1000) * pricePerKilowattHour, source: "electricity" };
}

function times(speed: Band | null, tokens: number): Band | null {
  return speed && falling(speed, (rate) => tokens / rate);
}
