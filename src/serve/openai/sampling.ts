// Sampling as OpenAI's API spells it: what both APIs share, and a bias of single tokens.
import type { ChainOptions } from "../../native/llama-sampler.js";
import { samplingOf } from "../sampling.js";
import type { Sampling } from "./schemas.js";

/**
 * Options of the sampler.
 *
 * @param choice which of several answers: each has a seed of its own
 */
export function biasedSamplingOf(request: Sampling, choice = 0): ChainOptions {
  const bias = Object.entries(request.logit_bias ?? {});
  return { ...samplingOf(request, choice), logitBias: bias.map(([token, logit]) => [Number(token), logit] as const) };
}
