// An answer as an OpenAI-compatible server streams it: server-sent events with pieces of text, then `[DONE]`. A stream that ends before
// it says so is no answer.
import { createParser } from "eventsource-parser";
import { z } from "zod";

const usageSchema = z.object({ prompt_tokens: z.number(), completion_tokens: z.number() });

const chunkSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        delta: z.looseObject({ content: z.string().nullish() }).optional(),
        text: z.string().nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  usage: usageSchema.nullish(),
  error: z.unknown().optional(),
});

export interface StreamedAnswer {
  text: string;
  /** `length` where it was cut off. */
  finishReason: string;
  /** Milliseconds to the first piece of text; null where there was none. */
  firstTextMs: number | null;
  /** As the server counts them; absent where it does not say. */
  promptTokens?: number;
  answerTokens?: number;
}

/** Something that is no answer, and may be one when asked again. */
export class BrokenStream extends Error {
  override readonly name = "BrokenStream";
}

/**
 * Reads a stream to its end.
 *
 * @param elapsedMs time since the request was sent
 * @throws {BrokenStream} when it ends early, reports an error, or holds what is no event
 */
export async function readStream(body: AsyncIterable<Uint8Array>, elapsedMs: () => number): Promise<StreamedAnswer> {
  const answer: StreamedAnswer = { text: "", finishReason: "", firstTextMs: null };
  let isDone = false;
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === "[DONE]") isDone = true;
      else take(answer, data, elapsedMs);
    },
  });
  const decoder = new TextDecoder();
  for await (const bytes of body) parser.feed(decoder.decode(bytes, { stream: true }));
  if (!isDone && answer.finishReason === "") throw new BrokenStream("the stream ended in the middle of the answer");
  return answer;
}

function take(answer: StreamedAnswer, data: string, elapsedMs: () => number): void {
  const { choices, usage, error } = parseChunk(data);
  if (error !== undefined)
    throw new BrokenStream(`the stream reports an error: ${JSON.stringify(error).slice(0, 200)}`);
  const [choice] = choices;
  const piece = choice?.delta?.content ?? choice?.text ?? "";
  if (piece !== "") answer.firstTextMs ??= elapsedMs();
  answer.text += piece;
  answer.finishReason = choice?.finish_reason ?? answer.finishReason;
  if (!usage) return;
  answer.promptTokens = usage.prompt_tokens;
  answer.answerTokens = usage.completion_tokens;
}

function parseChunk(data: string): z.infer<typeof chunkSchema> {
  try {
    return chunkSchema.parse(JSON.parse(data));
  } catch {
    throw new BrokenStream(`the stream holds what is no event: ${JSON.stringify(data.slice(0, 80))}`);
  }
}
