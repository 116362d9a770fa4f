// Energy of a request, from meters where there are some, otherwise from the watts that a device takes under load.
import { z } from "zod";

import { type Band, bandSchema, falling, plus, scaled } from "./band.js";
import type { Grid } from "./grid.js";
import type { Workload } from "./workload.js";

export const ENERGY_SOURCES = ["rapl", "nvidia-smi", "powermetrics", "device watts"] as const;

export const energySchema = z.object({
  source: z
    .enum(ENERGY_SOURCES)
    .describe("what measured it; `device watts` is an estimate: power under load × time, all of it counted"),
  prefillJoulesPerToken: bandSchema.nullable(),
  decodeJoulesPerToken: bandSchema.nullable(),
  joulesPerRequest: bandSchema.nullable(),
});

export const carbonSchema = z.object({
  region: z.string(),
  gramsPerKilowattHour: z.number().describe("CO2 equivalents"),
  gramsPerThousandRequests: bandSchema,
  gramsPerMillionTokens: bandSchema.describe("prompt and answer tokens alike"),
});

export type Energy = z.infer<typeof energySchema>;
export type Carbon = z.infer<typeof carbonSchema>;

const JOULES_PER_KILOWATT_HOUR = 3.6e6;

/** What meters said. */
export interface MeasuredEnergy {
  source: Exclude<Energy["source"], "device watts">;
  prefillJoulesPerToken: number;
  decodeJoulesPerToken: number;
}

export interface Speeds {
  prefillTokensPerSecond: Band | null;
  decodeTokensPerSecond: Band | null;
}

/** Joules per token = watts ÷ tokens per second. */
export function energyOfWatts(watts: number, speeds: Speeds, workload: Workload): Energy {
  const perToken = (speed: Band | null): Band | null => speed && falling(speed, (rate) => watts / rate);
  return requestEnergy(
    "device watts",
    perToken(speeds.prefillTokensPerSecond),
    perToken(speeds.decodeTokensPerSecond),
    workload,
  );
}

/** Energy of a request from what was metered per token. */
export function energyOfMeter(measured: MeasuredEnergy, workload: Workload): Energy {
  const exactly = (value: number): Band => ({ value, low: value, high: value });
  const { source, prefillJoulesPerToken, decodeJoulesPerToken } = measured;
  return requestEnergy(source, exactly(prefillJoulesPerToken), exactly(decodeJoulesPerToken), workload);
}

export function carbonOf(energy: Energy, grid: Grid, { promptTokens, answerTokens }: Workload): Carbon | null {
  if (!energy.joulesPerRequest) return null;
  const grams = scaled(energy.joulesPerRequest, grid.gramsPerKilowattHour / JOULES_PER_KILOWATT_HOUR);
  return {
    ...grid,
    gramsPerThousandRequests: scaled(grams, 1000),
    gramsPerMillionTokens: scaled(grams, 1e6 / (promptTokens + answerTokens)),
  };
}

function requestEnergy(
  source: Energy["source"],
  prefill: Band | null,
  decode: Band | null,
  { promptTokens, answerTokens }: Workload,
): Energy {
  const joulesPerRequest = prefill && decode && plus(scaled(prefill, promptTokens), scaled(decode, answerTokens));
  return { source, prefillJoulesPerToken: prefill, decodeJoulesPerToken: decode, joulesPerRequest };
}
