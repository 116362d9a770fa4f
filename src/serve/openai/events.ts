// Server-sent events of OpenAI's API, and its errors.
import { failureOf } from "../failure.js";

export function sse(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** An error in the middle of a stream. */
export function sseError(error: unknown): string {
  return sse(openaiError(error));
}

/** An error as OpenAI's API writes it. */
export function openaiError(error: unknown): {
  error: { message: string; type: string; param: string | null; code: string | null };
} {
  const { message, type, param, code } = failureOf(error);
  return { error: { message, type, param, code } };
}
