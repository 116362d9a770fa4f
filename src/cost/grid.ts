// Grams of CO2 equivalents per kilowatt-hour of electricity, over its whole life cycle, mean of 2023.
// Source: Ember, Yearly Electricity Data, as processed by Our World in Data
// (https://ourworldindata.org/grapher/carbon-intensity-electricity); the world's mean as Ember states it (Global Electricity Review 2024).
// The hour and the contract may differ by a factor, so a number of one's own goes before these.
import { nearestName } from "../support/nearest-name.js";

export const GRID_GRAMS_PER_KILOWATT_HOUR = {
  world: 481,
  australia: 549,
  austria: 111,
  belgium: 138,
  brazil: 98,
  canada: 170,
  china: 582,
  denmark: 152,
  finland: 79,
  france: 56,
  germany: 381,
  greece: 337,
  india: 713,
  ireland: 291,
  norway: 30,
} as const;

export interface Grid {
  /** A name of the table, or what was written. */
  region: string;
  gramsPerKilowattHour: number;
}

/**
 * Reads a region of the table, or a number of grams per kilowatt-hour.
 *
 * @throws {RangeError} when it is neither
 */
export function parseGrid(text: string): Grid {
  const region = text.trim().toLowerCase();
  const known = GRID_GRAMS_PER_KILOWATT_HOUR[region as keyof typeof GRID_GRAMS_PER_KILOWATT_HOUR];
  if (known !== undefined) return { region, gramsPerKilowattHour: known };
  const grams = Number(region);
  if (region !== "" && grams >= 0 && grams < 10_000) return { region: "as given", gramsPerKilowattHour: grams };
  const names = Object.keys(GRID_GRAMS_PER_KILOWATT_HOUR);
  const nearest = nearestName(region, names);
  throw new RangeError(
    `"${text}" is no grid; ${nearest ? `did you mean ${nearest}? Or write` : "write"} grams of CO2 per kilowatt-hour, or one of ${names.join(", ")}`,
  );
}
