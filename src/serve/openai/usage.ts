// What answers took, as OpenAI's API counts it: a prompt once, however many answers it has.

interface Taken {
  promptTokens: number;
  cachedTokens: number;
  answerTokens: number;
}

export function usageOf(answers: readonly Taken[]): object {
  const prompt_tokens = answers[0]?.promptTokens ?? 0;
  const completion_tokens = answers.reduce((sum, { answerTokens }) => sum + answerTokens, 0);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: answers[0]?.cachedTokens ?? 0 },
  };
}
