// The next token from logits: the likeliest, or drawn at random. The chain is llama.cpp's: top-k, top-p, min-p, temperature.
import { argmax } from "../support/argmax.js";
import { Random } from "../support/random.js";

export interface SamplingOptions {
  /** Always the likeliest token; the options below then mean nothing. */
  greedy?: boolean | undefined;
  /** Above 1 more surprising, below 1 more predictable, 0 greedy; 0.8 by default. */
  temperature?: number | undefined;
  /** Only the k likeliest; 40 by default, 0 is all. */
  topK?: number | undefined;
  /** Only the likeliest that together have this probability (Holtzman et al., 2020); 0.95 by default, 1 is all, 0 the likeliest. */
  topP?: number | undefined;
  /** Only tokens at least this likely, relative to the likeliest (Nguyen et al., 2024); 0.05 by default, 0 is all, 1 the likeliest. */
  minP?: number | undefined;
  /** The same seed draws the same tokens; 0 by default. */
  seed?: number | undefined;
}

/** Picks a token from logits [vocabulary]. */
export type Sampler = (logits: Float32Array) => number;

/** @throws {RangeError} when an option is out of its range */
export function createSampler(options: SamplingOptions = {}): Sampler {
  const { temperature = 0.8, topK = 40, topP = 0.95, minP = 0.05, seed = 0 } = options;
  if (!(temperature >= 0)) throw new RangeError(`Temperature ${temperature} is not 0 or more`);
  if (!(Number.isInteger(topK) && topK >= 0)) throw new RangeError(`Top-k ${topK} is no whole number from 0 on`);
  if (!(topP >= 0 && topP <= 1)) throw new RangeError(`Top-p ${topP} is not within 0 and 1`);
  if (!(minP >= 0 && minP <= 1)) throw new RangeError(`Min-p ${minP} is not within 0 and 1`);
  if (options.greedy === true || temperature === 0) return argmax;
  const random = new Random(seed);
  return (logits) => {
    const tokens = likeliest(logits, topK);
    const probabilities = softmax(tokens.map((token) => logits[token]!));
    const kept = Math.min(countOfTopP(probabilities, topP), countOfMinP(probabilities, minP));
    const weights = softmax(tokens.slice(0, kept).map((token) => logits[token]! / temperature));
    return tokens[draw(weights, random)]!;
  };
}

/** The `count` likeliest tokens, or all for 0; likeliest first, the lower token first among equals. */
export function likeliest(logits: Float32Array, count: number): number[] {
  const k = count === 0 ? logits.length : Math.min(count, logits.length);
  const inOrder = (a: number, b: number): number => logits[b]! - logits[a]! || a - b;
  if (k > 1000) return Array.from(logits.keys()).sort(inOrder).slice(0, k);
  const tokens: number[] = [];
  let lowest = -Infinity;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]!;
    if (tokens.length === k && !(logit > lowest)) continue; // nearly always, so the insertion below is rare
    let at = tokens.length;
    while (at > 0 && logits[tokens[at - 1]!]! < logit) at--;
    tokens.splice(at, 0, token);
    if (tokens.length > k) tokens.pop();
    lowest = logits[tokens.at(-1)!]!;
  }
  return tokens;
}

/** @param logits in descending order */
function softmax(logits: number[]): number[] {
  const exponentials = logits.map((logit) => Math.exp(logit - logits[0]!));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

function countOfTopP(probabilities: number[], topP: number): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) {
    sum += probabilities[i]!;
    if (sum >= topP) return i + 1;
  }
  return probabilities.length;
}

function countOfMinP(probabilities: number[], minP: number): number {
  const index = probabilities.findIndex((probability) => probability < minP * probabilities[0]!);
  return index < 0 ? probabilities.length : Math.max(1, index);
}

function draw(weights: number[], random: Random): number {
  let left = random.next();
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i]!;
    if (left < 0) return i;
  }
  return weights.length - 1;
}
