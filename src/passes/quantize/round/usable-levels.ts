// The levels that solvers round to. ggml's encoder never uses the lowest of q8_0, and neither do we: those between are the
// same on both sides of zero.
import type { ScalarFormat } from "./scalar-format.js";

export interface UsableLevels {
  /** Ascending. */
  levels: Float32Array;
  /** How many of the format's levels are below them: what is added to their numbers to make codes. */
  skipped: number;
}

export function usableLevels({ type, levels }: Pick<ScalarFormat, "type" | "levels">): UsableLevels {
  const skipped = type === "q8_0" ? 1 : 0;
  return { levels: levels.subarray(skipped), skipped };
}
