// Sampling as OpenAI's API spells it.
import type { ChainOptions } from "../../native/llama-sampler.js";
import { DEFAULT_SAMPLING, randomSeed } from "../sampling.js";
import type { Sampling } from "./schemas.js";

/**
 * Options of the sampler.
 *
 * @param choice which of several answers: each has a seed of its own
 */
export function samplingOf(request: Sampling, choice = 0): ChainOptions {
  const seed = request.seed ?? randomSeed();
  return {
    temperature: request.temperature ?? DEFAULT_SAMPLING.temperature,
    topK: request.top_k ?? DEFAULT_SAMPLING.topK,
    topP: request.top_p ?? DEFAULT_SAMPLING.topP,
    minP: request.min_p ?? DEFAULT_SAMPLING.minP,
    repeatPenalty: request.repeat_penalty ?? DEFAULT_SAMPLING.repeatPenalty,
    frequencyPenalty: request.frequency_penalty ?? DEFAULT_SAMPLING.frequencyPenalty,
    presencePenalty: request.presence_penalty ?? DEFAULT_SAMPLING.presencePenalty,
    penaltyTokens: DEFAULT_SAMPLING.penaltyTokens,
    logitBias: Object.entries(request.logit_bias ?? {}).map(([token, bias]) => [Number(token), bias] as const),
    seed: (((seed + choice) % 2 ** 32) + 2 ** 32) % 2 ** 32,
  };
}

/** Texts that end an answer. */
export function stopsOf({ stop }: Sampling): string[] {
  return stop === undefined ? [] : [stop].flat();
}
