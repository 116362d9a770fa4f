// Which of several continuations a model finds the likeliest: log p(choice | prompt), summed over the choice's tokens, as
// multiple-choice benchmarks are scored (Brown et al., 2020, "Language models are few-shot learners", section 2.4).
import type { Lanes } from "./lanes.js";

export interface Choosing {
  /** Index of the likeliest choice, the first of equals; -1 when the logits are no numbers. */
  index: number;
  /** ln p of each choice given the prompt, normalized as asked. */
  logLikelihoods: number[];
  promptTokens: number;
  prefillMs: number;
}

export interface ChooseRequest {
  /** The prompt alone, with BOS and all. */
  promptTokens: readonly number[];
  /** The prompt with each choice behind it, tokenized as one text. */
  wholeTokens: readonly (readonly number[])[];
  /** What each sum is divided by: 1, or the choice's tokens or bytes. */
  divisors: readonly number[];
}

const PROMPT_LANE = 0;
const CHOICE_LANE = 1;

/**
 * Measures how likely each choice is. A choice may merge with the prompt's last tokens into others, so all choices are scored from the
 * first token in which any of them differs from the prompt: all then account for the same text.
 */
export function choose(lanes: Lanes, { promptTokens, wholeTokens, divisors }: ChooseRequest): Choosing {
  const shared = sharedLength(promptTokens, wholeTokens);
  const prefillStartedAt = performance.now();
  const first = Float32Array.from(lanes.prefill(PROMPT_LANE, promptTokens.slice(0, shared)));
  const prefillMs = performance.now() - prefillStartedAt;
  const logLikelihoods = wholeTokens.map((tokens, i) => {
    const rest = tokens.slice(shared);
    return logLikelihood(lanes, first, rest) / divisors[i]!;
  });
  const index = logLikelihoods.reduce((best, value, i) => (value > (logLikelihoods[best] ?? -Infinity) ? i : best), -1);
  return { index, logLikelihoods, promptTokens: shared, prefillMs };
}

/** Σ ln p of the tokens, of which the first follows the prompt's logits. */
function logLikelihood(lanes: Lanes, first: Float32Array, tokens: readonly number[]): number {
  let sum = logProbability(first, tokens[0]!);
  if (tokens.length === 1) return sum;
  lanes.copy(PROMPT_LANE, CHOICE_LANE);
  lanes.append(CHOICE_LANE, tokens.slice(0, -1), (i, logits) => {
    sum += logProbability(logits, tokens[i + 1]!);
  });
  return sum;
}

/** Tokens that the prompt and every choice begin with; at least one token of each choice is left. */
function sharedLength(promptTokens: readonly number[], wholeTokens: readonly (readonly number[])[]): number {
  let length = promptTokens.length;
  for (const tokens of wholeTokens) {
    length = Math.min(length, tokens.length - 1);
    let same = 0;
    while (same < length && tokens[same] === promptTokens[same]) same++;
    length = same;
  }
  return length;
}

/** ln softmax(logits)[token], summed in double precision. */
export function logProbability(logits: Float32Array, token: number): number {
  return logits[token]! - logSumExp(logits);
}

/** ln Σ exp(logits), in double precision. */
export function logSumExp(logits: Float32Array): number {
  let highest = -Infinity;
  for (const logit of logits) if (logit > highest) highest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - highest);
  return highest + Math.log(sum);
}
