// From anything thrown to a status and a message. Both APIs say the same in their own shapes.
import { ZodError } from "zod";

import { isAbortError, PareError } from "../errors.js";
import { EngineUnavailable } from "./engine/engine.js";

/** A request that is answered with an error. */
export class RequestError extends PareError {
  override readonly name = "RequestError";
  readonly status: number;
  /** The field of the request that is wrong. */
  readonly param: string | undefined;
  readonly code: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    status: number,
    message: string,
    options: { param?: string; code?: string; hint?: string; retryAfterSeconds?: number } = {},
  ) {
    super(message, options.hint === undefined ? {} : { hint: options.hint });
    this.status = status;
    this.param = options.param;
    this.code = options.code;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** What a model says to one request more than may wait for it. */
export function overloaded(waitingMax: number, model: string): RequestError {
  const options = { code: "overloaded", retryAfterSeconds: 5 };
  return new RequestError(503, `${waitingMax} requests wait for "${model}" already`, options);
}

/** What is answered. */
export interface Failure {
  status: number;
  message: string;
  type: string;
  param: string | null;
  code: string | null;
  retryAfterSeconds?: number | undefined;
}

const RESTART_SECONDS = 1; // an engine that died once is started at once, and a small model loads in less

/** Describes anything thrown. What was not foreseen keeps its message to the log. */
export function failureOf(error: unknown): Failure {
  if (error instanceof RequestError) {
    const { status, retryAfterSeconds, param = null, code = null } = error;
    return { status, message: sentence(error), type: typeOf(status), param, code, retryAfterSeconds };
  }
  if (error instanceof EngineUnavailable)
    return { ...failure(503, sentence(error), "engine_unavailable"), retryAfterSeconds: RESTART_SECONDS };
  if (error instanceof ZodError) return zodFailure(error);
  if (error instanceof PareError) return failure(400, sentence(error), null); // raised about the request
  if (isAbortError(error)) return failure(504, "The request took longer than this server allows", "timeout");
  return failure(500, "The server failed in a way that was not foreseen; its log says more", null);
}

function failure(status: number, message: string, code: string | null): Failure {
  return { status, message, type: typeOf(status), param: null, code };
}

/** The first complaint, with the field that it is about. */
function zodFailure({ issues }: ZodError): Failure {
  const { path, message } = issues[0]!;
  const param = path.map(String).join(".");
  const text = param === "" ? `The request is no JSON object of the right form: ${message}` : `"${param}": ${message}`;
  return { status: 400, message: text, type: typeOf(400), param: param || null, code: null };
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

function sentence({ message, hint }: PareError): string {
  return hint === undefined ? message : `${message}. ${hint}`;
}
