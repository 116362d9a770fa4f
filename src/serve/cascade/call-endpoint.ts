// One call of another server that speaks OpenAI's API. What it refuses is the client's to know, as is when to come again; what else
// goes wrong there is a 502.
import { z } from "zod";

import { isAbortError } from "../../errors.js";
import { saidIn } from "../../evaluate/endpoint/endpoint.js";
import type { Endpoint } from "../../fit/cascade/cascade-file.js";
import { RequestError } from "../failure.js";

/** The client's request is at fault, or what it asks for is not to be had there. */
const REFUSALS = new Set([400, 413, 422]);
/** Come again later. */
const BUSY = new Set([429, 503]);

/**
 * Sends JSON and reads what comes.
 *
 * @throws {RequestError} 400 for what the endpoint refuses; 429 or 503 with its Retry-After; 502 when it has no answer
 */
export async function callEndpoint<T>(
  { url, model, apiKeyVariable }: Endpoint,
  { path, body, answer, signal }: { path: string; body: object; answer: z.ZodType<T>; signal: AbortSignal },
): Promise<T> {
  const key = apiKeyVariable === undefined ? undefined : process.env[apiKeyVariable];
  try {
    const response = await fetch(`${url.replace(/\/$/, "")}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
      body: JSON.stringify({ ...body, model }),
      redirect: "error",
      signal,
    });
    if (!response.ok) throw await failureOf(model, response);
    return answer.parse(await response.json());
  } catch (error) {
    if (error instanceof RequestError || isAbortError(error)) throw error;
    throw upstreamFailure(502, model, whyNone(error));
  }
}

/** Node waits five minutes for a response's head, which comes with the whole answer. */
function whyNone(error: unknown): string {
  if (error instanceof z.ZodError || error instanceof SyntaxError) return "gave no answer";
  const { code } = ((error as Error).cause ?? {}) as { code?: string };
  return code?.startsWith("UND_ERR_") && code.endsWith("_TIMEOUT") ? "took too long" : "can't be reached";
}

/** A body that nobody reads would hold its connection. */
async function failureOf(model: string, response: Response): Promise<RequestError> {
  const { status } = response;
  if (REFUSALS.has(status)) {
    const said = saidIn(await response.text());
    return new RequestError(400, `The cascade's large model "${model}" refused this${said === "" ? "" : `: ${said}`}`, {
      code: "upstream_refused",
    });
  }
  await response.body?.cancel();
  if (!BUSY.has(status)) return upstreamFailure(502, model, `answered with status ${status}`);
  return upstreamFailure(status, model, "is busy", secondsOf(response.headers.get("retry-after")));
}

function upstreamFailure(status: number, model: string, what: string, retryAfterSeconds?: number): RequestError {
  return new RequestError(status, `The cascade's large model "${model}" ${what}`, {
    code: status === 502 ? "upstream_failed" : "upstream_busy",
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}

/** Of a number of seconds, or a date. */
function secondsOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined;
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined;
}
