// The large model of a cascade on another server that speaks OpenAI's API. It is asked for plain answers; grammars, tools, scored texts
// and log-probabilities are refused, and sampling settings beyond those below are left out.
import { z } from "zod";

import { isAbortError } from "../../errors.js";
import type { Endpoint } from "../../fit/cascade/cascade-file.js";
import type { AnswerPiece, Question, Scope } from "../answer.js";
import { RequestError } from "../failure.js";

const answerSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        finish_reason: z.string().nullish(),
        message: z.looseObject({ content: z.string().nullable() }).optional(),
        text: z.string().optional(),
      }),
    )
    .min(1),
  usage: z.looseObject({ prompt_tokens: z.number(), completion_tokens: z.number() }).optional(),
});

/** Asks the endpoint for a whole answer. @throws {RequestError} 502 when it has none; 400 for what can't be passed on */
export async function* askEndpoint(endpoint: Endpoint, scope: Scope, question: Question): AsyncGenerator<AnswerPiece> {
  const { choices, usage } = await send(endpoint, scope.signal, question);
  const { finish_reason: reason, message, text } = choices[0]!;
  const [promptTokens, answerTokens] = [usage?.prompt_tokens ?? 0, usage?.completion_tokens ?? 0];
  scope.record.noteStarted(promptTokens, 0);
  scope.record.noteText();
  scope.record.noteEnded({ answerTokens });
  yield { kind: "started", promptTokens, cachedTokens: 0 };
  yield { kind: "text", text: message?.content ?? text ?? "", tokens: [] };
  yield { kind: "ended", reason: reason === "length" ? "length" : "stop", answerTokens };
}

async function send(
  { url, model, apiKeyVariable }: Endpoint,
  signal: AbortSignal,
  question: Question,
): Promise<z.infer<typeof answerSchema>> {
  const { path, body } = requestOf(question);
  const key = apiKeyVariable === undefined ? undefined : process.env[apiKeyVariable];
  const failure = (what: string): RequestError =>
    new RequestError(502, `The cascade's large model "${model}" ${what}`, { code: "upstream_failed" });
  try {
    const response = await fetch(`${url.replace(/\/$/, "")}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
      body: JSON.stringify({ ...body, model }),
      signal,
    });
    if (!response.ok) throw failure(`answered with status ${response.status}`);
    return answerSchema.parse(await response.json());
  } catch (error) {
    if (error instanceof RequestError || isAbortError(error)) throw error;
    throw failure(error instanceof z.ZodError || error instanceof SyntaxError ? "gave no answer" : "can't be reached");
  }
}

function requestOf({ prompt, maxTokens, stop, sampling, grammar, tools, echo, logProbabilities }: Question): {
  path: string;
  body: object;
} {
  const isPlain = !grammar && !tools && !echo && logProbabilities === undefined && prompt.kind !== "tokens";
  if (!isPlain) {
    throw new RequestError(
      400,
      "This cascade's large model is on another server, which is asked for plain answers only",
    );
  }
  const common = {
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(stop.length > 0 ? { stop } : {}),
    temperature: sampling.temperature,
    top_p: sampling.topP,
    frequency_penalty: sampling.frequencyPenalty,
    presence_penalty: sampling.presencePenalty,
    seed: sampling.seed,
  };
  return prompt.kind === "text"
    ? { path: "/completions", body: { ...common, prompt: prompt.text } }
    : { path: "/chat/completions", body: { ...common, messages: prompt.conversation.messages } };
}
