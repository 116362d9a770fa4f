// Puts questions to a judge: to an endpoint a few at once, to a file in a child process, greedily. What it says is taken as it is, and
// never asked again for a better answer.
import { setMaxListeners } from "node:events";
import { access } from "node:fs/promises";

import { PareError, UsageError } from "../../errors.js";
import type { RunOptions } from "../../support/progress.js";
import { Endpoint, QuestionRefused } from "../endpoint/endpoint.js";
import type { CaseResult, TaskResult } from "../task-result.js";
import type { ChatMessage, Task, TaskCase } from "../task.js";
import { type JudgeAnswer, type JudgeMemory, keysFor, ShortMemory } from "./judge-memory.js";
import { type JudgeSettings, nameOfJudge } from "./judge-settings.js";

/** Tokens of what a judge says at most: room for a reason before the verdict. */
export const JUDGE_TOKENS_DEFAULT = 512;

export interface JudgeQuestion {
  id: string;
  messages: ChatMessage[];
}

export interface AskOptions extends RunOptions {
  /** Runs a file on a task, as a baseline; tells of each case as soon as it is answered. */
  runFile(
    model: string,
    task: Task,
    onCase: (result: CaseResult) => void,
  ): Promise<Pick<TaskResult, "perCase" | "excluded">>;
  /** Milliseconds before a request is tried again; doubled each time. */
  waitMs?: number | undefined;
  /** What was said before; nothing unless given. */
  memory?: JudgeMemory | undefined;
  /** Told of the tokens of each new answer of an endpoint; throws to stop. */
  onSpent?: ((use: Use) => void) | undefined;
}

interface Use {
  promptTokens: number;
  answerTokens: number;
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
  const messages = [{ role: "user", content: "Answer with the word: ready" }];
  const { memory: _, ...anew } = options;
  await askEndpoint(settingsOf(judge), new Map([["ready", messages]]), { ...anew, memory: new ShortMemory() });
}

/**
 * Asks everything there is to ask of one judge, each question once, whoever it is about.
 *
 * @returns answers by the question's id
 * @throws {PareError} when an endpoint stops answering, time and again; what it answered is in the memory
 */
export async function askJudge(
  judge: JudgeSettings,
  questions: readonly JudgeQuestion[],
  { memory = new ShortMemory(), ...options }: AskOptions,
): Promise<Map<string, JudgeAnswer>> {
  const settings = settingsOf(judge);
  const keyOf = await keysFor(judge, settings.maxTokens);
  const byKey = new Map(questions.map(({ messages }) => [keyOf(messages), messages]));
  const ask = settings.endpoint === undefined ? askFile : askEndpoint;
  const said = await ask(settings, byKey, { ...options, memory });
  return new Map(questions.map(({ id, messages }) => [id, said.get(keyOf(messages))!]));
}

type Settings = JudgeSettings & { maxTokens: number };
type Asking = AskOptions & { memory: JudgeMemory };
/** Conversations by their keys. */
type Questions = ReadonlyMap<string, ChatMessage[]>;

function settingsOf(judge: JudgeSettings): Settings {
  return { ...judge, maxTokens: judge.maxTokens ?? JUDGE_TOKENS_DEFAULT };
}

async function askFile(
  { model, maxTokens }: Settings,
  questions: Questions,
  { runFile, memory }: Asking,
): Promise<Map<string, JudgeAnswer>> {
  const unknown = [...questions].filter(([key]) => !memory.has(key));
  const keeping: Promise<unknown>[] = [];
  if (unknown.length > 0) {
    const keep = (key: string, answer: JudgeAnswer): void => void keeping.push(memory.step(key, async () => answer));
    const cases = unknown.map(([id, messages], index): TaskCase => ({
      id,
      line: index + 1,
      messages,
      scorer: "exact",
      tags: [],
      maxTokens,
      stop: [],
    }));
    const task = { name: "judge", path: "judge", sha256: "", cases };
    const { excluded = [] } = await runFile(model, task, (result) => keep(result.id, saidIn(result))).finally(() =>
      Promise.all(keeping),
    );
    for (const { id, reason } of excluded) keep(id, { problem: reason });
    await Promise.all(keeping);
  }
  const absent = (): Promise<JudgeAnswer> => Promise.reject(new Error("A question was not asked"));
  const known = [...questions.keys()].map(async (key) => [key, await memory.step(key, absent)] as const);
  return new Map(await Promise.all(known));
}

function saidIn({ answer, ended }: CaseResult): JudgeAnswer {
  return ended === "not-a-number" ? { problem: "its logits are not numbers" } : { text: answer };
}

async function askEndpoint(
  judge: Settings,
  questions: Questions,
  { waitMs, signal, onProgress, memory, onSpent }: Asking,
): Promise<Map<string, JudgeAnswer>> {
  const stopped = new AbortController(); // the first failure ends the others
  const either = signal === undefined ? stopped.signal : AbortSignal.any([signal, stopped.signal]);
  setMaxListeners(0, either); // each question that waits has one
  let endpoint: Endpoint | undefined; // whose key is wanted only where something is to be asked
  let done = 0;
  const one = async ([key, messages]: [string, ChatMessage[]]): Promise<[string, JudgeAnswer]> => {
    let use: Use | undefined;
    const answer = await memory.step(key, async () => {
      endpoint ??= new Endpoint({ url: judge.endpoint!, model: judge.model, key: keyOf(judge), waitMs });
      const question = { messages, maxTokens: judge.maxTokens, stop: [] };
      return askOnce(endpoint, question, either, (tokens) => (use = tokens));
    });
    if (use) onSpent?.(use); // once the answer is kept
    onProgress?.({ stage: "judging", done: ++done, total: questions.size, unit: "questions" });
    return [key, answer];
  };
  let failure: unknown;
  const asked = [...questions].map((question) =>
    one(question).catch((error: unknown) => {
      failure ??= error; // the first is the reason of the others
      stopped.abort(error);
    }),
  );
  const answers = await Promise.all(asked); // what is under way is still kept
  if (failure === undefined) return new Map(answers as [string, JudgeAnswer][]);
  signal?.throwIfAborted();
  throw judgeError(judge, failure);
}

async function askOnce(
  endpoint: Endpoint,
  question: Parameters<Endpoint["answer"]>[0],
  signal: AbortSignal,
  onAnswer: (use: Use) => void,
): Promise<JudgeAnswer> {
  try {
    const { text, promptTokens = 0, answerTokens = 0 } = await endpoint.answer(question, signal);
    onAnswer({ promptTokens, answerTokens });
    return { text };
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
