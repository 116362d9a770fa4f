// Runs all cases through one contender. Each finished case is in the journal before the next result counts, so what was answered is never
// asked, nor paid for, again: not after Ctrl-C, not after an endpoint that died.
import { setMaxListeners } from "node:events";

import { AnswerText } from "../evaluate/answer-text.js";
import { type Endpoint, QuestionRefused } from "../evaluate/endpoint/endpoint.js";
import { type CaseResult, evaluateTask, scoreOf } from "../evaluate/run-task.js";
import { MAX_TOKENS_DEFAULT } from "../evaluate/task-plan.js";
import type { Task, TaskCase } from "../evaluate/task.js";
import { PareError } from "../errors.js";
import type { Journal } from "../fit/journal.js";
import type { RunOptions } from "../support/progress.js";

/** A case as one contender answered it. */
export interface ComparedCase extends CaseResult {
  /** From the question to the end of the answer; null where it is not known. */
  milliseconds: number | null;
  firstTextMs: number | null;
}

export interface AnswerRequest {
  /** Of the contender in the journal: everything that its answers depend on. */
  key: string;
  name: string;
  task: Task;
  maxTokens?: number | undefined;
  allowCode?: boolean | undefined;
  excludeFaulty?: boolean | undefined;
  threads?: number | undefined;
}

/** Asks an endpoint. @param onSpent told of the tokens of each new answer; throws to stop */
export async function answerByEndpoint(
  endpoint: Endpoint,
  request: AnswerRequest,
  journal: Journal,
  onSpent: (result: ComparedCase) => void,
  options: RunOptions,
): Promise<ComparedCase[]> {
  const { task, key, name } = request;
  const stopped = new AbortController();
  const signal = options.signal === undefined ? stopped.signal : AbortSignal.any([options.signal, stopped.signal]);
  setMaxListeners(0, signal); // each question that waits has one
  let done = 0;
  const one = async (taskCase: TaskCase): Promise<ComparedCase> => {
    const result = await journal.step(`${key} ${taskCase.id}`, async () => {
      const answered = await askEndpoint(endpoint, taskCase, request, signal);
      onSpent(answered);
      return answered;
    });
    done++;
    options.onProgress?.({
      stage: `asking ${name}`,
      done,
      total: task.cases.length,
      unit: "cases",
      detail: taskCase.id,
    });
    return result;
  };
  let failure: unknown;
  const results = await Promise.all(
    task.cases.map((taskCase) =>
      one(taskCase).catch((error: unknown) => {
        failure ??= error; // the first is the reason of the others
        stopped.abort(error);
      }),
    ),
  );
  if (failure === undefined) return results as ComparedCase[];
  options.signal?.throwIfAborted();
  throw new PareError(`${(failure as Error).message}; ${done} of ${task.cases.length} cases are kept`, {
    hint: `${(failure as PareError).hint ?? "See to the endpoint"}; then run the same command again, it goes on from there`,
    cause: failure,
  });
}

async function askEndpoint(
  endpoint: Endpoint,
  taskCase: TaskCase,
  request: AnswerRequest,
  signal: AbortSignal,
): Promise<ComparedCase> {
  const { id, tags, prompt, messages, stop } = taskCase;
  const maxTokens = taskCase.maxTokens ?? request.maxTokens ?? MAX_TOKENS_DEFAULT;
  const empty = { promptTokens: 0, answerTokens: 0, prefillMs: 0, decodeTokensPerSecond: null };
  try {
    const found = await endpoint.answer({ prompt, messages, maxTokens, stop }, signal);
    const { promptTokens = 0, answerTokens = 0, milliseconds, firstTextMs } = found;
    const ended = found.finishReason === "length" ? "length" : "end";
    const answer = untilStop(found.text, stop);
    const { value, ...rest } = await scoreOf(taskCase, undefined, { answer, ended, answerTokens });
    const decodeMs = milliseconds - (firstTextMs ?? milliseconds);
    return {
      ...rest,
      id,
      score: value,
      answer,
      tags,
      ended,
      promptTokens,
      answerTokens,
      milliseconds,
      firstTextMs,
      prefillMs: firstTextMs ?? 0,
      decodeTokensPerSecond: decodeMs > 0 && answerTokens > 1 ? ((answerTokens - 1) / decodeMs) * 1000 : null,
    };
  } catch (error) {
    if (!(error instanceof QuestionRefused)) throw error;
    return {
      id,
      score: null,
      answer: "",
      explanation: error.message,
      tags,
      ended: "end",
      ...empty,
      milliseconds: null,
      firstTextMs: null,
    };
  }
}

/** Not every server takes every stop text. */
function untilStop(text: string, stop: readonly string[]): string {
  const answer = new AnswerText(stop);
  answer.push(Buffer.from(text));
  answer.end();
  return answer.text;
}

/** Runs a file here, one case at a time, so that its latency is that of a user alone. */
export async function answerByFile(
  path: string,
  request: AnswerRequest,
  journal: Journal,
  options: RunOptions,
): Promise<ComparedCase[]> {
  const { key, task, maxTokens, allowCode, excludeFaulty, threads } = request;
  const missing = task.cases.filter(({ id }) => !journal.has(`${key} ${id}`)).map(({ id }) => id);
  const writing: Promise<unknown>[] = [];
  if (missing.length > 0) {
    const onCase = (result: CaseResult): void =>
      void writing.push(journal.step(`${key} ${result.id}`, async () => timed(result)));
    const judging = { state: "later" } as const;
    const run = { model: path, task, cases: missing, parallel: 1, isBaseline: true, repack: true, judging };
    const { excluded = [] } = await evaluateTask(
      { ...run, maxTokens, allowCode, excludeFaulty, threads, onCase },
      options,
    ).finally(() => Promise.all(writing));
    for (const { id, reason } of excluded) {
      const taskCase = task.cases.find((one) => one.id === id);
      if (taskCase) await journal.step(`${key} ${id}`, async () => unanswered(taskCase, reason));
    }
  }
  const known = async ({ id }: TaskCase): Promise<ComparedCase> =>
    journal.step(`${key} ${id}`, () => Promise.reject(new Error(`Case "${id}" was not run`)));
  return await Promise.all(task.cases.map(known));
}

function timed(result: CaseResult): ComparedCase {
  const { prefillMs, answerTokens, decodeTokensPerSecond } = result;
  const decodeMs = decodeTokensPerSecond === null ? 0 : ((answerTokens - 1) / decodeTokensPerSecond) * 1000;
  return { ...result, milliseconds: prefillMs + decodeMs, firstTextMs: prefillMs };
}

function unanswered({ id, tags }: TaskCase, explanation: string): ComparedCase {
  const nothing = { promptTokens: 0, answerTokens: 0, prefillMs: 0, decodeTokensPerSecond: null };
  return {
    id,
    score: null,
    answer: "",
    explanation,
    tags,
    ended: "context",
    ...nothing,
    milliseconds: null,
    firstTextMs: null,
  };
}
