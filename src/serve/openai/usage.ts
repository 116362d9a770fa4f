// What answers took, as OpenAI's API counts it: a prompt once, however many answers it has.

interface Taken {
  promptTokens: number;
  cachedTokens: number;
  answerTokens: number;
  draftTokens?: number | undefined;
  draftAccepted?: number | undefined;
}

export function usageOf(answers: readonly Taken[]): object {
  const prompt_tokens = answers[0]?.promptTokens ?? 0;
  const completion_tokens = answers.reduce((sum, { answerTokens }) => sum + answerTokens, 0);
  const guessed = answers.reduce((sum, { draftTokens = 0 }) => sum + draftTokens, 0);
  const accepted = answers.reduce((sum, { draftAccepted = 0 }) => sum + draftAccepted, 0);
  const completion_tokens_details = {
    accepted_prediction_tokens: accepted,
    rejected_prediction_tokens: guessed - accepted,
  };
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: answers[0]?.cachedTokens ?? 0 },
    ...(guessed > 0 ? { completion_tokens_details } : {}),
  };
}
