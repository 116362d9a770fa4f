// A predicted number with the range in which it is expected; a measured one has its own spread, or none.
import { z } from "zod";

export const bandSchema = z.object({
  value: z.number(),
  low: z.number().describe("lower end of what is expected"),
  high: z.number().describe("upper end"),
});

export type Band = z.infer<typeof bandSchema>;

export function exactly(value: number): Band {
  return { value, low: value, high: value };
}

/** A prediction that may be off by all of it and more still says as much: a tenth, or the time that follows had no end. */
const LEAST = 0.1;

/** `value ± share`. */
export function within(value: number, share: number): Band {
  return { value, low: value * Math.max(LEAST, 1 - share), high: value * (1 + share) };
}

/** A falling function of a band, such as the time that follows from a speed: its ends change places. */
export function falling(band: Band, change: (value: number) => number): Band {
  return { value: change(band.value), low: change(band.high), high: change(band.low) };
}

/** Sum of two that may be off in the same direction. */
export function plus(a: Band, b: Band): Band {
  return { value: a.value + b.value, low: a.low + b.low, high: a.high + b.high };
}

export function scaled(band: Band, factor: number): Band {
  return { value: band.value * factor, low: band.low * factor, high: band.high * factor };
}
