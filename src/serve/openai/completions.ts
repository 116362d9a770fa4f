// POST /v1/completions: https://platform.openai.com/docs/api-reference/completions
// With `echo`, `logprobs` and `max_tokens: 0`, it scores texts.
import { randomUUID } from "node:crypto";

import { type AnswerPiece, ask, askAll, type Question, type Scope, type WholeAnswer, withSiblings } from "../answer.js";
import { readJson, scopeOf, type ServeContext, type Surroundings } from "../context.js";
import type { PromptInput } from "../engine/messages.js";
import { RequestError } from "../failure.js";
import { traitsOfPrompts } from "../route/choose-task.js";
import { interleave, streamResponse } from "../stream.js";
import { sse, sseError } from "./events.js";
import { completionLikelihoods } from "./likelihoods.js";
import { stopsOf } from "../sampling.js";
import { biasedSamplingOf } from "./sampling.js";
import { completionRequest, type CompletionRequest } from "./schemas.js";
import { usageOf } from "./usage.js";

const MAX_TOKENS = 16; // OpenAI's default
const ANSWERS_MAX = 128;

export async function completions(c: ServeContext, around: Surroundings): Promise<Response> {
  const asked = (await readJson(c, around)) as Record<string, unknown>;
  const request = completionRequest.parse(asked);
  const scope = scopeOf(c, around, {
    model: request.model,
    metadataTask: request.metadata?.task,
    traits: () => traitsOfPrompts(request.prompt),
  });
  const questions = completionQuestions(request, asked);
  const head = {
    id: `cmpl-${randomUUID()}`,
    object: "text_completion",
    created: Math.floor(Date.now() / 1000),
    model: scope.model.name,
  };
  if (request.stream) {
    const pieces = completionChunks(scope, request, questions, head);
    return streamResponse(c, scope, pieces, { contentType: "text/event-stream", onError: sseError });
  }
  const answers = await askAll(scope, questions);
  const choices = answers.map((answer, index) => choiceOf(answer, index, request));
  const perPrompt = answers.filter((_, i) => i % (request.n ?? 1) === 0);
  const total = (of: (answer: WholeAnswer) => number, list: WholeAnswer[]): number =>
    list.reduce((sum, one) => sum + of(one), 0);
  const usage = usageOf([
    {
      promptTokens: total(({ promptTokens }) => promptTokens, perPrompt),
      cachedTokens: total(({ cachedTokens }) => cachedTokens, perPrompt),
      answerTokens: total(({ answerTokens }) => answerTokens, answers),
      draftTokens: total(({ draftTokens = 0 }) => draftTokens, answers),
      draftAccepted: total(({ draftAccepted = 0 }) => draftAccepted, answers),
    },
  ]);
  return c.json({ ...head, choices, usage });
}

function completionQuestions(request: CompletionRequest, asked: Question["asked"]): Question[] {
  const prompts = promptsOf(request.prompt);
  const n = request.n ?? 1;
  if (prompts.length * n > ANSWERS_MAX) {
    throw new RequestError(400, `The request wants ${prompts.length * n} answers, more than ${ANSWERS_MAX}`, {
      param: "prompt",
    });
  }
  return prompts.flatMap((prompt) =>
    Array.from({ length: n }, (_, choice) => ({
      asked,
      prompt,
      maxTokens: request.max_tokens ?? MAX_TOKENS,
      stop: stopsOf(request),
      sampling: biasedSamplingOf(request, choice),
      logProbabilities: request.logprobs,
      echo: request.echo,
      streams: request.stream ?? false,
    })),
  );
}

/** A text, several, tokens, or several lists of those. */
export function promptsOf(prompt: string | string[] | number[] | number[][]): PromptInput[] {
  if (typeof prompt === "string") return [{ kind: "text", text: prompt }];
  if (typeof prompt[0] === "number") return [{ kind: "tokens", tokens: prompt as number[] }];
  return (prompt as (string | number[])[]).map((one) =>
    typeof one === "string" ? { kind: "text", text: one } : { kind: "tokens", tokens: one },
  );
}

function choiceOf({ text, tokens, echo, reason }: WholeAnswer, index: number, request: CompletionRequest): object {
  const all = [...(echo?.tokens ?? []), ...tokens];
  const logprobs = request.logprobs === undefined ? null : completionLikelihoods(all, 0);
  return { index, text: (echo?.text ?? "") + text, logprobs, finish_reason: reason };
}

async function* completionChunks(
  scope: Scope,
  request: CompletionRequest,
  questions: readonly Question[],
  head: object,
): AsyncGenerator<string> {
  const usage = { promptTokens: 0, cachedTokens: 0, answerTokens: 0, draftTokens: 0, draftAccepted: 0 };
  const n = request.n ?? 1;
  const { shared, abort } = withSiblings(scope, questions.length);
  async function* choice(question: Question, index: number): AsyncGenerator<string> {
    let offset = 0;
    const chunk = (
      text: string,
      tokens: Parameters<typeof completionLikelihoods>[0],
      reason: string | null,
    ): string => {
      const logprobs =
        request.logprobs === undefined || tokens.length === 0 ? null : completionLikelihoods(tokens, offset);
      offset += text.length;
      return sse({ ...head, choices: [{ index, text, logprobs, finish_reason: reason }] });
    };
    const chunksOf = (piece: AnswerPiece): string => {
      if (piece.kind === "text") return chunk(piece.text, piece.tokens, null);
      if (piece.kind === "started") {
        if (index % n === 0) {
          usage.promptTokens += piece.promptTokens;
          usage.cachedTokens += piece.cachedTokens;
        }
        return piece.echo ? chunk(piece.echo.text, piece.echo.tokens, null) : "";
      }
      if (piece.kind === "calls") return "";
      usage.answerTokens += piece.answerTokens;
      usage.draftTokens += piece.draftTokens ?? 0;
      usage.draftAccepted += piece.draftAccepted ?? 0;
      return chunk("", [], piece.reason);
    };
    for await (const piece of ask(shared, question)) yield chunksOf(piece);
  }
  yield* interleave(questions.map(choice), abort);
  if (request.stream_options?.include_usage) yield sse({ ...head, choices: [], usage: usageOf([usage]) });
  yield "data: [DONE]\n\n";
}
