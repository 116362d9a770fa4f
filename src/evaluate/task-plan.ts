// From cases to tokens: what each case asks of the model, and whether it fits. All of it is settled before the first token is
// computed, so that a case that can't be run stops a run at its start.
import { PareError } from "../errors.js";
import type { LlamaModel } from "../native/llama-model.js";
import type { ChooseRequest } from "./choose.js";
import type { GenerateRequest } from "./generate.js";
import { PromptTokenizer } from "./prompt-tokens.js";
import type { TaskCase } from "./task.js";
import type { FaultyCase } from "./task-faults.js";

export const MAX_TOKENS_DEFAULT = 256; // a short paragraph; tasks that need more say so

const DATE_IN_PROMPTS = new Date("2024-07-26"); // some templates write today's: a prompt that changes overnight can't be measured twice

export interface PlannedAnswer {
  taskCase: TaskCase;
  request: GenerateRequest;
}

export interface PlannedChoice {
  taskCase: TaskCase;
  request: ChooseRequest;
}

export interface TaskPlan {
  answers: PlannedAnswer[];
  choices: PlannedChoice[];
  /** Every prompt, to find what they share. */
  prompts: (readonly number[])[];
  /** Tokens that a lane must hold. */
  laneTokens: number;
  /** Cases that are longer than the context, left out on request. */
  excluded: FaultyCase[];
}

export interface PlanOptions {
  /** Tokens per answer at most, where a case doesn't say. */
  maxTokens?: number | undefined;
  /** Tokens of the context at most; the model's trained length by default. */
  contextLength?: number | undefined;
  /** Leave out cases that are longer than the context, in place of refusing to run. */
  excludeFaulty?: boolean | undefined;
}

/**
 * Plans the cases of a task for one model.
 *
 * @throws {PareError} that names the case which is too long, or has messages that the model can't take
 */
export function planTask(model: LlamaModel, cases: readonly TaskCase[], options: PlanOptions = {}): TaskPlan {
  const contextLength = Math.min(options.contextLength ?? Infinity, model.contextLengthTrained || Infinity);
  const tokenizer = new PromptTokenizer(model, {
    readTemplate: cases.some(({ messages }) => messages !== undefined),
    today: DATE_IN_PROMPTS,
  });
  const tooLong: FaultyCase[] = [];
  const plan: TaskPlan = { answers: [], choices: [], prompts: [], laneTokens: 0, excluded: [] };
  for (const taskCase of cases) {
    const tokens = promptTokens(tokenizer, taskCase);
    const planned =
      taskCase.scorer === "choice"
        ? planChoice(tokenizer, taskCase, tokens)
        : planAnswer(taskCase, tokens, options.maxTokens ?? MAX_TOKENS_DEFAULT);
    if (planned.tokensLeast > contextLength) {
      const reason = `it needs ${planned.tokensLeast} tokens, the context has ${contextLength}`;
      tooLong.push({ id: taskCase.id, line: taskCase.line, reason });
      continue;
    }
    if ("choice" in planned) plan.choices.push(planned.choice);
    else plan.answers.push(planned.answer);
    plan.prompts.push(tokens);
    plan.laneTokens = Math.max(plan.laneTokens, Math.min(contextLength, planned.tokensMost));
  }
  if (tooLong.length > 0 && !options.excludeFaulty) throw tooLongError(model.path, tooLong, contextLength);
  plan.excluded.push(...tooLong);
  return plan;
}

/** The prompt and, as one text with it, the beginning of an answer. */
function tokensOf(tokenizer: PromptTokenizer, { prompt, messages }: TaskCase, begun = ""): number[] {
  return messages === undefined ? tokenizer.prompt(prompt! + begun) : tokenizer.conversation({ messages }, begun);
}

/** Tokens of the context without which a case can't be run, and those that it may use. */
interface Needs {
  tokensLeast: number;
  tokensMost: number;
}

function planAnswer(taskCase: TaskCase, tokens: number[], maxTokensDefault: number): Needs & { answer: PlannedAnswer } {
  const maxTokens = taskCase.maxTokens ?? maxTokensDefault;
  return {
    answer: { taskCase, request: { tokens, maxTokens, stop: taskCase.stop } },
    tokensLeast: tokens.length + 1,
    tokensMost: tokens.length + maxTokens,
  };
}

function promptTokens(tokenizer: PromptTokenizer, taskCase: TaskCase): number[] {
  try {
    const tokens = tokensOf(tokenizer, taskCase);
    if (tokens.length === 0)
      throw new PareError("its prompt is empty, and the vocabulary begins texts with no token of its own");
    return tokens;
  } catch (cause) {
    if (!(cause instanceof PareError)) throw cause;
    throw new PareError(`Cannot run ${nameOf(taskCase)}: ${cause.message}`, {
      cause,
      ...(cause.hint ? { hint: cause.hint } : {}),
    });
  }
}

function planChoice(
  tokenizer: PromptTokenizer,
  taskCase: TaskCase,
  promptTokens: number[],
): Needs & { choice: PlannedChoice } {
  const choices = taskCase.choices ?? [];
  const wholeTokens = choices.map((text) => tokensOf(tokenizer, taskCase, text));
  const divisors = choices.map((text, i) => {
    if (taskCase.normalize === "bytes") return Buffer.byteLength(text);
    if (taskCase.normalize === "characters") return Math.max(1, [...text.trimStart()].length);
    return taskCase.normalize === "tokens" ? Math.max(1, wholeTokens[i]!.length - promptTokens.length) : 1;
  });
  if (wholeTokens.some((tokens) => tokens[0] !== promptTokens[0] || tokens.length < 2)) {
    throw new PareError(`Cannot run ${nameOf(taskCase)}: its prompt is too short to be told from the choices`, {
      hint: "Give the model a few words to begin with",
    });
  }
  const longest = Math.max(...wholeTokens.map(({ length }) => length));
  return {
    choice: { taskCase, request: { promptTokens, wholeTokens, divisors } },
    tokensLeast: longest,
    tokensMost: longest,
  };
}

/** Cases that the error names before it only counts them. */
const NAMED_MAX = 3;

function tooLongError(path: string, cases: readonly FaultyCase[], contextLength: number): PareError {
  const context = `the context of "${path}" has ${contextLength}`;
  const hint = "Shorten such cases, or leave them all out with --exclude-faulty";
  const named = cases.slice(0, NAMED_MAX).map((one) => `${nameOf(one)}: ${one.reason.replace(/, the .*/, "")}`);
  const more = cases.length > NAMED_MAX ? `; and ${cases.length - NAMED_MAX} more` : "";
  return new PareError(`Cannot run ${named.join("; ")}${more}, ${context}`, { hint });
}

function nameOf({ id, line }: Pick<TaskCase, "id" | "line">): string {
  return id === `line-${line}` ? `the case in line ${line}` : `case "${id}" (line ${line})`;
}
