// How the next token is chosen, unless a request says otherwise: the same numbers as `pare chat`, with no penalties.
import type { ChainOptions } from "../native/llama-sampler.js";

/** What a request says of it, in the names that both APIs share. */
export interface SamplingRequest {
  temperature?: number | undefined;
  top_k?: number | undefined;
  top_p?: number | undefined;
  min_p?: number | undefined;
  repeat_penalty?: number | undefined;
  frequency_penalty?: number | undefined;
  presence_penalty?: number | undefined;
  /** Tokens that penalties look back at; -1: all. */
  repeat_last_n?: number | undefined;
  seed?: number | undefined;
}

/** The seed is drawn anew for each request. */
const DEFAULT_SAMPLING: Omit<ChainOptions, "seed"> = {
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

/**
 * Options of the sampler.
 *
 * @param choice which of several answers: each has a seed of its own
 */
export function samplingOf(request: SamplingRequest, choice = 0): ChainOptions {
  const seed = request.seed ?? Math.floor(Math.random() * 2 ** 32);
  return {
    temperature: request.temperature ?? DEFAULT_SAMPLING.temperature,
    topK: request.top_k ?? DEFAULT_SAMPLING.topK,
    topP: request.top_p ?? DEFAULT_SAMPLING.topP,
    minP: request.min_p ?? DEFAULT_SAMPLING.minP,
    repeatPenalty: request.repeat_penalty ?? DEFAULT_SAMPLING.repeatPenalty,
    frequencyPenalty: request.frequency_penalty ?? DEFAULT_SAMPLING.frequencyPenalty,
    presencePenalty: request.presence_penalty ?? DEFAULT_SAMPLING.presencePenalty,
    penaltyTokens: request.repeat_last_n ?? DEFAULT_SAMPLING.penaltyTokens,
    logitBias: DEFAULT_SAMPLING.logitBias,
    seed: (((seed + choice) % 2 ** 32) + 2 ** 32) % 2 ** 32,
  };
}

/** Texts that end an answer. */
export function stopsOf({ stop }: { stop?: string | string[] | undefined }): string[] {
  return stop === undefined ? [] : [stop].flat();
}
