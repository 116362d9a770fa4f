// Puts questions to a judge: to an endpoint a few at once, to a file in a child process, greedily. What it says is taken as it is, and
// never asked again for a better answer.
import { access } from "node:fs/promises";

import { PareError, UsageError } from "../../errors.js";
import type { RunOptions } from "../../support/progress.js";
import { Endpoint, QuestionRefused } from "../endpoint/endpoint.js";
import type { CaseResult, TaskResult } from "../task-result.js";
import type { ChatMessage, Task, TaskCase } from "../task.js";
import { type JudgeSettings, nameOfJudge } from "./judge-settings.js";

const MAX_TOKENS_DEFAULT = 512; // room for a reason before the verdict

export interface JudgeQuestion {
  id: string;
  messages: ChatMessage[];
}

/** What a judge said, or why it said nothing. */
export type JudgeAnswer = { text: string } | { problem: string };

export interface AskOptions extends RunOptions {
  /** Runs a file on a task, as a baseline. */
  runFile(model: string, task: Task): Promise<Pick<TaskResult, "perCase" | "excluded">>;
  /** Milliseconds before a request is tried again; doubled each time. */
  waitMs?: number | undefined;
}

/**
 * Finds out, before the first answer is made, whether a judge can be asked.
 *
 * @throws {UsageError} when its key is not set or its file is absent
 * @throws {PareError} when its endpoint gives no answer
 */
export async function requireJudge(judge: JudgeSettings, options: AskOptions): Promise<void> {
  if (judge.endpoint === undefined) {
    return access(judge.model).catch((cause: unknown) => {
      throw new UsageError(`Cannot judge with "${judge.model}": there is no such file`, {
        hint: 'Name a GGUF file beside the task, or an "endpoint"',
        cause,
      });
    });
  }
  const question = { id: "", messages: [{ role: "user", content: "Answer with the word: ready" }] };
  await askEndpoint({ ...judge, maxTokens: judge.maxTokens ?? MAX_TOKENS_DEFAULT }, [question], options);
}

/**
 * Asks everything there is to ask of one judge.
 *
 * @returns answers by the question's id
 * @throws {PareError} when an endpoint stops answering, time and again
 */
export async function askJudge(
  judge: JudgeSettings,
  questions: readonly JudgeQuestion[],
  options: AskOptions,
): Promise<Map<string, JudgeAnswer>> {
  const settings = { ...judge, maxTokens: judge.maxTokens ?? MAX_TOKENS_DEFAULT };
  return settings.endpoint === undefined
    ? askFile(settings, questions, options)
    : askEndpoint(settings, questions, options);
}

type Settings = JudgeSettings & { maxTokens: number };

async function askFile(
  { model, maxTokens }: Settings,
  questions: readonly JudgeQuestion[],
  { runFile }: AskOptions,
): Promise<Map<string, JudgeAnswer>> {
  const cases = questions.map(({ id, messages }, index): TaskCase => ({
    id,
    line: index + 1,
    messages,
    scorer: "exact",
    tags: [],
    maxTokens,
    stop: [],
  }));
  const { perCase, excluded = [] } = await runFile(model, { name: "judge", path: "judge", sha256: "", cases });
  const said = ({ answer, ended }: CaseResult): JudgeAnswer =>
    ended === "not-a-number" ? { problem: "its logits are not numbers" } : { text: answer };
  return new Map<string, JudgeAnswer>([
    ...perCase.map((one): [string, JudgeAnswer] => [one.id, said(one)]),
    ...excluded.map(({ id, reason }): [string, JudgeAnswer] => [id, { problem: reason }]),
  ]);
}

async function askEndpoint(
  judge: Settings,
  questions: readonly JudgeQuestion[],
  { waitMs, signal, onProgress }: AskOptions,
): Promise<Map<string, JudgeAnswer>> {
  const endpoint = new Endpoint({ url: judge.endpoint!, model: judge.model, key: keyOf(judge), waitMs });
  const stopped = new AbortController(); // the first failure ends the others
  const either = signal === undefined ? stopped.signal : AbortSignal.any([signal, stopped.signal]);
  let done = 0;
  const one = async ({ id, messages }: JudgeQuestion): Promise<[string, JudgeAnswer]> => {
    const answer = await askOnce(endpoint, { messages, maxTokens: judge.maxTokens, stop: [] }, either);
    onProgress?.({ stage: "judging", done: ++done, total: questions.length, unit: "questions" });
    return [id, answer];
  };
  try {
    return new Map(await Promise.all(questions.map(one)));
  } catch (error) {
    signal?.throwIfAborted();
    stopped.abort(error);
    throw judgeError(judge, error);
  }
}

async function askOnce(
  endpoint: Endpoint,
  question: Parameters<Endpoint["answer"]>[0],
  signal: AbortSignal,
): Promise<JudgeAnswer> {
  try {
    return { text: (await endpoint.answer(question, signal)).text };
  } catch (error) {
    if (error instanceof QuestionRefused) return { problem: error.message };
    throw error;
  }
}

/** @throws {UsageError} when it is not in the environment */
function keyOf({ keyEnv, endpoint }: JudgeSettings): string | undefined {
  if (keyEnv === undefined) return undefined;
  const key = process.env[keyEnv]?.trim();
  if (key) return key;
  throw new UsageError(`The environment variable ${keyEnv} is not set`, {
    hint: `Put the key of the judge at "${endpoint}" there`,
  });
}

function judgeError(judge: JudgeSettings, error: unknown): unknown {
  if (!(error instanceof PareError)) return error;
  const hint = error.hint?.replace("--key NAME=VARIABLE", 'keyEnv in "judge"') ?? "See to the endpoint of the judge";
  return new PareError(`Cannot judge with "${nameOfJudge(judge)}": ${error.message}`, { hint, cause: error });
}
