// What half, nearly all and all but the unluckiest wait.
import { z } from "zod";

export const percentilesSchema = z.object({
  p50: z.number(),
  p95: z.number(),
  p99: z.number(),
  max: z.number(),
  count: z.number().int().describe("observations"),
});

export type Percentiles = z.infer<typeof percentilesSchema>;

/**
 * Percentiles by the nearest rank: the least value that so many per cent do not exceed.
 *
 * @throws {RangeError} without a value
 */
export function percentilesOf(values: Iterable<number>): Percentiles {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) throw new RangeError("Percentiles of nothing");
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
  return { p50: rank(0.5), p95: rank(0.95), p99: rank(0.99), max: sorted.at(-1)!, count: sorted.length };
}
