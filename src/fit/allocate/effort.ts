// What each level of effort spends, and on what. `bench/quality-per-bit` shows what it buys.
import type { Effort } from "../../passes/quantize/round/problem.js";

/** How a calibrated quantization spends its time. */
export interface EffortPlan {
  /** Tokens whose inputs make the Hessians. */
  statisticsTokens: number;
  /** Tokens on which a substitution is measured. */
  measureTokens: number;
  /** Rows of a tensor whose rounding to each type shows its layer error. */
  sampleRows: number;
  /** Groups of layers that are rounded one after another, each on the inputs that those before it produce; 0: no second look. */
  driftGroups: number;
  /** How the final rows are rounded. */
  rounding: Effort;
}

export const EFFORTS: Readonly<Record<Effort, EffortPlan>> = {
  fast: { statisticsTokens: 8192, measureTokens: 512, sampleRows: 24, driftGroups: 0, rounding: "default" },
  default: { statisticsTokens: 32768, measureTokens: 1024, sampleRows: 48, driftGroups: 4, rounding: "default" },
  high: { statisticsTokens: 131072, measureTokens: 4096, sampleRows: 96, driftGroups: 64, rounding: "high" },
};
