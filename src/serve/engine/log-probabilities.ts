// How likely tokens were, from raw logits: before temperature, penalties and grammar, as the model itself saw it.
import { logSumExp } from "../../evaluate/choose.js";
import { likeliest } from "../../evaluate/sample.js";
import type { LlamaModel } from "../../native/llama-model.js";
import type { ScoredToken, TokenLikelihood } from "./messages.js";

/** ln softmax of a token, with the likeliest `count` in its place. */
export function scoreToken(
  model: LlamaModel,
  logits: Float32Array | undefined,
  token: number,
  count: number,
): ScoredToken {
  if (logits === undefined) return { ...likelihood(model, token, null), alternatives: [] };
  const normalizer = logSumExp(logits);
  const tokens = count === 0 ? [] : likeliest(logits, count);
  const alternatives = tokens.map((one) => likelihood(model, one, logits[one]! - normalizer));
  return { ...likelihood(model, token, logits[token]! - normalizer), alternatives };
}

function likelihood(model: LlamaModel, token: number, logProbability: number | null): TokenLikelihood {
  return { token, bytes: model.tokenBytes(token, true), logProbability };
}
