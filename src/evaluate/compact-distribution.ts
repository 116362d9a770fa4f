// One next-token distribution in few bytes, and KL divergence against it. Entries are kept from the most likely down until
// what remains weighs at most REST_SHARE. Of the rest its exact mass is known and SAMPLES of its entries, drawn in
// proportion to their probability (systematic sampling; Madow, 1949), so that its share of a divergence can be estimated
// without bias. An entry is the distance of its logit below the highest, in 16 bits.
//
// Shapes: logits and probabilities are one row of [vocabulary].

/** Most mass outside the kept entries: a larger share makes files smaller and estimates noisier. */
export const REST_SHARE = 1e-2;

/** Entries drawn from the rest. */
export const SAMPLES = 64;

/** Below this the rest is left unsampled: a sum of 32-bit probabilities can't tell its mass from rounding. */
export const REST_MIN = 1e-6;

/** Codes per nat: 16 bits reach 32 nats below the top, off by at most 0.00025. */
export const CODES_PER_NAT = 2048;

/** exp(-code / CODES_PER_NAT) as a product of two entries, so that both tables stay in the first-level cache. */
const HIGH_BYTE = Float64Array.from({ length: 256 }, (_, i) => Math.exp((-256 * i) / CODES_PER_NAT));
const LOW_BYTE = Float64Array.from({ length: 256 }, (_, i) => Math.exp(-i / CODES_PER_NAT));

/** Distributions one after another, in the order in which they were appended. */
export interface CompactDistributions {
  /** Kept token ids of all distributions, ascending within each. */
  readonly ids: Int32Array;
  /** Distance below the top, parallel to `ids`. */
  readonly codes: Uint16Array;
  /** Where each distribution starts in `ids`; one more than there are distributions. */
  readonly starts: Uint32Array;
  /** Mass outside the kept entries, per distribution. */
  readonly restMasses: Float64Array;
  /** SAMPLES ids drawn from the rest of each distribution, ascending, repeats possible; -1 where there is too little rest. */
  readonly sampleIds: Int32Array;
  /** Distance below the top, parallel to `sampleIds`. */
  readonly sampleCodes: Uint16Array;
  /** Most likely token, the first of equals, per distribution. */
  readonly topTokens: Int32Array;
  /** -ln p of the text's own next token, per distribution. */
  readonly negativeLogLikelihoods: Float64Array;
}

/** How one distribution compares with its compact baseline. */
export interface Comparison {
  /** KL(baseline ‖ candidate) in nats. */
  klDivergence: number;
  /** -ln of the candidate's probability of the text's next token. */
  negativeLogLikelihood: number;
  isSameTop: boolean;
}

/**
 * KL(p ‖ q) = Σ p (ln p - ln q) over the kept entries, plus r (ln r - ln r_q) for the rest as one lump, plus r times the
 * divergence inside the rest (the chain rule; Cover and Thomas, Elements of Information Theory, theorem 2.5.3), which is
 * the mean over the samples of ρ - 1 - ln ρ with ρ = (q / r_q) ÷ (p / r): unbiased, and never below zero.
 *
 * @param index of the distribution in `baseline`
 * @param logits the candidate's
 * @param probabilities softmax of `logits`
 * @param token the text's next token
 * @param out overwritten and returned; its numbers are NaN when the logits are not all numbers
 */
export function compareDistribution(
  baseline: CompactDistributions,
  index: number,
  logits: Float32Array,
  probabilities: Float32Array,
  token: number,
  out: Comparison,
): Comparison {
  const { ids, codes } = baseline;
  const end = baseline.starts[index + 1]!;
  let weights = 0; // Σ w, where w = exp(-distance) is p up to a factor
  let weightedDistances = 0; // Σ w · distance
  let weightedLogits = 0; // Σ w · x
  let candidateMass = 0; // Σ q over the kept entries
  let best = -1;
  let bestLogit = -Infinity;
  for (let k = baseline.starts[index]!; k < end; k++) {
    const id = ids[k]!;
    const code = codes[k]!;
    const logit = logits[id]!;
    const weight = HIGH_BYTE[code >> 8]! * LOW_BYTE[code & 255]!;
    weights += weight;
    weightedDistances += weight * code;
    weightedLogits += weight * logit;
    candidateMass += probabilities[id]!;
    if (logit > bestLogit) {
      bestLogit = logit;
      best = id;
    }
  }
  const restCandidate = Math.max(0, 1 - candidateMass);
  // Nothing outside the kept entries can be likelier than all of it together: then the row needs no search for its top.
  const top = probabilities[best]! > restCandidate ? best : topToken(logits);
  const logSum = logits[top]! - Math.log(probabilities[top]!); // ln Σ exp(x)
  const rest = baseline.restMasses[index]!;
  const scale = (1 - rest) / weights;
  const entropy = scale * (weightedDistances / CODES_PER_NAT) - (1 - rest) * Math.log(scale); // -Σ p ln p, kept entries
  const kept = (1 - rest) * logSum - scale * weightedLogits - entropy;
  let lump = 0;
  if (rest >= REST_MIN) {
    const restOdds = Math.max(restCandidate, REST_MIN) / rest; // r_q / r
    const offset = Math.log(scale) + logSum + Math.log(restOdds);
    let excess = 0; // Σ ρ - 1 - ln ρ
    for (let k = index * SAMPLES; k < (index + 1) * SAMPLES; k++) {
      const logRatio = logits[baseline.sampleIds[k]!]! + baseline.sampleCodes[k]! / CODES_PER_NAT - offset;
      excess += Math.expm1(logRatio) - logRatio;
    }
    lump = rest * (excess / SAMPLES - Math.log(restOdds));
  }
  out.klDivergence = Math.max(0, kept + lump); // below zero only by rounding; NaN stays NaN
  out.negativeLogLikelihood = logSum - logits[token]!;
  out.isSameTop = top === baseline.topTokens[index];
  return out;
}

/** -ln p(token) from a row of logits and its softmax. */
export function negativeLogLikelihood(logits: Float32Array, probabilities: Float32Array, token: number): number {
  const probability = probabilities[token]!;
  if (probability > 1e-30) return -Math.log(probability); // smaller ones lose digits, then vanish, in 32 bits
  const top = topToken(logits);
  return logits[top]! - logits[token]! - Math.log(probabilities[top]!);
}

/** The highest logit's index, the first of equals. */
export function topToken(logits: Float32Array): number {
  let top = 0;
  let highest = logits[0]!;
  for (let id = 1; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit > highest) {
      highest = logit;
      top = id;
    }
  }
  return top;
}
