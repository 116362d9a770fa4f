// From cases to tokens: what each case asks of the model, and whether it fits. All of it is settled before the first token is
// computed, so that a case that can't be run stops a run at its start.
import { PareError } from "../errors.js";
import type { LlamaModel } from "../native/llama-model.js";
import { isAbortError } from "../errors.js";
import type { ChooseRequest } from "./choose.js";
import type { GenerateRequest } from "./generate.js";
import { PromptTokenizer } from "./prompt-tokens.js";
import type { TaskCase } from "./task.js";

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
}

export interface PlanOptions {
  /** Tokens per answer at most, where a case doesn't say. */
  maxTokens?: number | undefined;
  /** Tokens of the context at most; the model's trained length by default. */
  contextLength?: number | undefined;
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
  const plan: TaskPlan = { answers: [], choices: [], prompts: [], laneTokens: 0 };
  for (const taskCase of cases) {
    const tokens = promptTokens(tokenizer, taskCase);
    const longest = taskCase.scorer === "choice" ? planChoice() : planAnswer();
    plan.laneTokens = Math.max(plan.laneTokens, Math.min(contextLength, longest));
    plan.prompts.push(tokens);

    function planAnswer(): number {
      requireFit(model, taskCase, tokens.length + 1, contextLength);
      const maxTokens = taskCase.maxTokens ?? options.maxTokens ?? MAX_TOKENS_DEFAULT;
      plan.answers.push({ taskCase, request: { tokens, maxTokens, stop: taskCase.stop } });
      return tokens.length + maxTokens;
    }

    function planChoice(): number {
      const request = chooseRequest(model, tokenizer, taskCase, tokens);
      const longestWhole = Math.max(...request.wholeTokens.map(({ length }) => length));
      requireFit(model, taskCase, longestWhole, contextLength);
      plan.choices.push({ taskCase, request });
      return longestWhole;
    }
  }
  return plan;
}

function promptTokens(tokenizer: PromptTokenizer, taskCase: TaskCase): number[] {
  try {
    const tokens =
      taskCase.messages === undefined ? tokenizer.prompt(taskCase.prompt!) : tokenizer.conversation(taskCase.messages);
    if (tokens.length === 0)
      throw new PareError("its prompt is empty, and the vocabulary begins texts with no token of its own");
    return tokens;
  } catch (cause) {
    if (!(cause instanceof PareError) || isAbortError(cause)) throw cause;
    throw new PareError(`Cannot run ${nameOf(taskCase)}: ${cause.message}`, {
      cause,
      ...(cause.hint ? { hint: cause.hint } : {}),
    });
  }
}

function chooseRequest(
  model: LlamaModel,
  tokenizer: PromptTokenizer,
  taskCase: TaskCase,
  promptTokens: number[],
): ChooseRequest {
  const choices = taskCase.choices ?? [];
  const choiceTokens = choices.map((text) => Array.from(model.tokenize(text)));
  const wholeTokens = choices.map((text, i) =>
    taskCase.prompt === undefined ? [...promptTokens, ...choiceTokens[i]!] : tokenizer.prompt(taskCase.prompt + text),
  );
  const divisors = choices.map((text, i) => {
    if (taskCase.normalize === "bytes") return Buffer.byteLength(text);
    return taskCase.normalize === "tokens" ? choiceTokens[i]!.length : 1;
  });
  if (wholeTokens.some((tokens) => tokens[0] !== promptTokens[0] || tokens.length < 2)) {
    throw new PareError(`Cannot run ${nameOf(taskCase)}: its prompt is too short to be told from the choices`, {
      hint: "Give the model a few words to begin with",
    });
  }
  return { promptTokens, wholeTokens, divisors };
}

function requireFit(model: LlamaModel, taskCase: TaskCase, tokens: number, contextLength: number): void {
  if (tokens <= contextLength) return;
  throw new PareError(
    `Cannot run ${nameOf(taskCase)}: it needs ${tokens} tokens, the context of "${model.path}" has ${contextLength}`,
    { hint: "Shorten the case, or leave it out" },
  );
}

function nameOf({ id, line }: TaskCase): string {
  return id === `line-${line}` ? `the case in line ${line}` : `case "${id}" (line ${line})`;
}
