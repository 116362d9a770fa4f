// What every route of the server is handed.
import type { Context } from "hono";

import { timeLimit } from "../support/time-limit.js";
import type { ModelSet, ServedModel } from "./model-set.js";
import type { Scope } from "./answer.js";
import { RequestError, overloaded } from "./failure.js";
import type { Client } from "./guard/api-keys.js";
import type { RequestRecord } from "./observe/request-record.js";
import type { Asked, Router } from "./route/router.js";

export interface ServeEnv {
  Variables: { record: RequestRecord; client: Client };
}

export type ServeContext = Context<ServeEnv>;

/** What the server was started with, as routes need it. */
export interface Surroundings {
  models: ModelSet;
  /** Where a file says which model answers which task. */
  router?: Router | undefined;
  /** Bytes of a request's body at most. */
  bodyBytes: number;
  /** A request's time at most. */
  requestMs: number;
  /** Requests that may wait for one model. */
  waitingMax: number;
  logsBodies: boolean;
}

/**
 * The scope of a request, with the model that is to answer it.
 *
 * @throws {RequestError} 404 for an unknown model or task, 503 when too many wait for it; of a cascade, for its large model
 */
export function scopeOf(c: ServeContext, around: Surroundings, asked: Omit<Asked, "headerTask">): Scope {
  const { requestMs, waitingMax } = around;
  const model = modelOf(c, around, asked);
  const record = c.get("record");
  record.model = model.name;
  if (!asksElsewhere(model) && model.engine.load.waiting >= waitingMax) throw overloaded(waitingMax, model.name);
  const limit = timeLimit(requestMs);
  const { leave } = record;
  record.leave = () => {
    limit.clear();
    leave();
  };
  const signal = AbortSignal.any([c.req.raw.signal, limit.signal]);
  return { model, client: c.get("client").name, signal, waitingMax, record };
}

/** Whether it is a cascade with another server, whose answers are counted apart; the engine here is its small model's. */
function asksElsewhere({ cascade }: ServedModel): boolean {
  return cascade !== undefined && "endpoint" in cascade.large;
}

/** The model by task, else by name; a task is noted, and told to the client. */
function modelOf(c: ServeContext, { models, router }: Surroundings, asked: Omit<Asked, "headerTask">): ServedModel {
  const headerTask = c.req.header("x-pare-task");
  if (!router && headerTask !== undefined) {
    throw new RequestError(400, `This server knows no tasks, so none called "${headerTask}"`, {
      param: "X-Pare-Task",
      code: "task_not_found",
      hint: "Start it with --route",
    });
  }
  const route = router?.route({ ...asked, headerTask });
  if (!route) return models.find(asked.model);
  const { model, task, by } = route;
  Object.assign(c.get("record"), { task, routedBy: by });
  c.header("x-pare-task", task);
  return model;
}

/**
 * A request's body as JSON, read no further than the limit.
 *
 * @throws {RequestError} 413 when it is longer, 400 when it is no JSON
 */
export async function readJson(c: ServeContext, { bodyBytes, logsBodies }: Surroundings): Promise<unknown> {
  const tooLong = (): RequestError =>
    new RequestError(413, `The request's body is longer than ${bodyBytes} bytes`, { code: "body_too_long" });
  if (Number(c.req.header("content-length") ?? 0) > bodyBytes) throw tooLong();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    length += chunk.byteLength;
    if (length > bodyBytes) throw tooLong();
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)));
    if (logsBodies) c.get("record").body = body;
    return body;
  } catch {
    throw new RequestError(400, "The request's body is no JSON in UTF-8", { code: "invalid_json" });
  }
}
