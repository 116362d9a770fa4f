// How the next token is chosen, unless a request says otherwise: the same numbers as `pare chat`, with no penalties.
import type { ChainOptions } from "../native/llama-sampler.js";

/** The seed is drawn anew for each request. */
export const DEFAULT_SAMPLING: Omit<ChainOptions, "seed"> = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repeatPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  penaltyTokens: -1,
  logitBias: [],
};

/** A seed for a request that names none. */
export function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
