// What answers cost, from prices that are given: per million tokens, or of an hour of the machine. How much an hour of a device costs,
// its energy and utilisation are worked out elsewhere; here a tariff is a number that somebody stated.
import { UsageError } from "../errors.js";

/** In US dollars. */
export type Tariff = { inputPerMillion: number; outputPerMillion: number } | { perHour: number };

/** What an answer took, on average. */
export interface MeanUse {
  promptTokens: number;
  answerTokens: number;
  /** Of the machine, alone. */
  seconds: number;
}

/** Dollars per request. */
export function costOf(tariff: Tariff, { promptTokens, answerTokens, seconds }: MeanUse): number {
  if ("perHour" in tariff) return (tariff.perHour * seconds) / 3600;
  return (tariff.inputPerMillion * promptTokens + tariff.outputPerMillion * answerTokens) / 1e6;
}

/**
 * Reads `name=0.15/0.60` (per million tokens in and out) and `name=0.20/h`.
 *
 * @throws {UsageError} when it is neither, or the name is no contender's
 */
export function readTariffs(texts: readonly string[], names: readonly string[]): Map<string, Tariff> {
  return new Map(
    texts.map((text) => {
      const [, name = "", first, second] = /^(.+)=(\d*\.?\d+)\/(\d*\.?\d+|h)$/u.exec(text) ?? [];
      if (first === undefined) {
        throw new UsageError(`"${text}" is no price`, {
          hint: "Write NAME=0.15/0.60, dollars per million tokens in and out, or NAME=0.20/h",
        });
      }
      if (!names.includes(name)) throw new UsageError(`"${name}" is no contender: there are ${names.join(", ")}`);
      const tariff =
        second === "h"
          ? { perHour: Number(first) }
          : { inputPerMillion: Number(first), outputPerMillion: Number(second) };
      return [name, tariff];
    }),
  );
}

export interface Return {
  /** Requests per month. */
  volume: number;
  costPerMonth: number;
  /** Against the first contender; negative where this one is dearer. */
  savingPerMonth: number;
  /** Months until an investment is paid back; null where nothing is saved. */
  paybackMonths?: number | null;
}

/** What a volume of requests costs and saves. */
export function returnOf(costPerRequest: number, reference: number, volume: number, investment?: number): Return {
  const savingPerMonth = (reference - costPerRequest) * volume;
  return {
    volume,
    costPerMonth: costPerRequest * volume,
    savingPerMonth,
    ...(investment === undefined ? {} : { paybackMonths: savingPerMonth > 0 ? investment / savingPerMonth : null }),
  };
}
