// Probabilities of tokens in the two shapes that OpenAI's API has for them.
import type { ScoredToken, TokenLikelihood } from "../engine/messages.js";

const NEVER = -9999; // what the API says where there is no number

/** As chats have it. */
export function chatLikelihoods(tokens: readonly ScoredToken[]): { content: unknown[]; refusal: null } {
  const entry = ({ bytes, logProbability }: TokenLikelihood): object => ({
    token: textOf(bytes),
    logprob: finite(logProbability) ?? NEVER,
    bytes: Array.from(bytes),
  });
  return {
    content: tokens.map((one) => ({ ...entry(one), top_logprobs: one.alternatives.map(entry) })),
    refusal: null,
  };
}

/**
 * As completions have it.
 *
 * @param offset where the first token begins in the text
 */
export function completionLikelihoods(tokens: readonly ScoredToken[], offset: number): object {
  let at = offset;
  const offsets = tokens.map(({ bytes }) => {
    const start = at;
    at += textOf(bytes).length;
    return start;
  });
  return {
    tokens: tokens.map(({ bytes }) => textOf(bytes)),
    token_logprobs: tokens.map(({ logProbability }) => finite(logProbability)),
    top_logprobs: tokens.map(({ logProbability, alternatives }) =>
      logProbability === null ? null : byText(alternatives),
    ),
    text_offset: offsets,
  };
}

function byText(alternatives: readonly TokenLikelihood[]): Record<string, number> {
  return Object.fromEntries(
    alternatives.map(({ bytes, logProbability }) => [textOf(bytes), finite(logProbability) ?? NEVER]),
  );
}

function finite(value: number | null): number | null {
  return value === null || Number.isFinite(value) ? value : NEVER;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
