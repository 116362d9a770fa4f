// Runs a task's cases through a model and scores the answers. The model works in a child process; `evaluateTaskInProcess` is
// for callers that are one already.
import { performance } from "node:perf_hooks";

import { UsageError } from "../errors.js";
import { diagnosing } from "../model/diagnose.js";
import { isolate } from "../native/isolate.js";
import type { LlamaModel } from "../native/llama-model.js";
import type { Backend } from "../native/platform.js";
import { optional } from "../support/optional.js";
import type { RunOptions } from "../support/progress.js";
import { choose } from "./choose.js";
import { probabilitiesOf } from "./calibration.js";
import { ConfidenceMeter, watched } from "./confidence.js";
import { type GenerateRequest, generate } from "./generate.js";
import type { AskOptions } from "./judge/ask-judge.js";
import { ShortMemory } from "./judge/judge-memory.js";
import { isJudged, judgeTask, type JudgeTerms, requireJudges } from "./judge/judge-task.js";
import { commonPrefix, Lanes } from "./lanes.js";
import { mergeRepeats, samplerOf } from "./repeats.js";
import { requireLanguage } from "./run-restricted.js";
import { loadFunction } from "./scorers/function.js";
import { SCORERS } from "./scorers/registry.js";
import type { Score } from "./scorers/scorer.js";
import { summarize } from "./summarize-task.js";
import { planTask, type PlanOptions, type TaskPlan } from "./task-plan.js";
import type { CaseResult, TaskResult } from "./task-result.js";
import type { RepeatSettings, Task, TaskCase, TaskDefaults } from "./task.js";
import { readTask } from "./tasks/read-task.js";

export type { CaseResult, TaskFailure, TaskResult } from "./task-result.js";

/** Repeats, temperature and seed go before those of the task. */
export interface TaskRequest extends PlanOptions, RepeatSettings {
  /** Path of a GGUF file. */
  model: string;
  /** LoRA adapter of the model, a GGUF file; a baseline has none. */
  adapter?: string | undefined;
  task: Task;
  /** Which cases to run: ids, or how many from the start; all by default. */
  cases?: readonly string[] | number | undefined;
  /** The baseline's answers by case id, for cases without `expect`. */
  baselineAnswers?: Readonly<Record<string, string>> | undefined;
  /** Take answers of cases that can't be scored for want of a baseline: this is the baseline. */
  isBaseline?: boolean | undefined;
  /** Cases in flight at once, at most; answers don't depend on it. */
  parallel?: number | undefined;
  threads?: number | undefined;
  /** Rearrange weights for speed; off, as it changes answers. */
  repack?: boolean | undefined;
  /** Type of cached keys and values; f16 by default, as programs that serve models have it. */
  cacheType?: string | undefined;
  /** Run code that comes with the task or from the model; see run-restricted.ts. */
  allowCode?: boolean | undefined;
  /** Also tell how sure the model was of each answer. */
  tellConfidence?: boolean | undefined;
}

export interface TaskRunOptions extends RunOptions {
  /** Called with each case as soon as it is scored. */
  onCase?: (result: CaseResult) => void;
}

/** A {@link TaskRequest} for which the task is read and the baseline is run, where they are given as paths. */
export interface EvaluateTaskRequest extends Omit<TaskRequest, "task">, TaskDefaults {
  task: Task | string;
  /** Path of the baseline model: cases without `expect` are scored by agreement with its answers. */
  against?: string | undefined;
  backend?: Backend | undefined;
  /** Called with each case as soon as it is answered, and scored unless a judge is to do that; not with those of the baseline. */
  onCase?: (result: CaseResult) => void;
  /** Milliseconds before a request to a judge is tried again; doubled each time. */
  waitMs?: number | undefined;
  /** How judges are asked: with what they said before, and under which cap. */
  judging?: JudgeTerms | undefined;
}

/**
 * Scores a model on a task. A judge is asked when all answers are there: it is never in memory beside the model.
 *
 * Answers are greedy, unless a case is asked several times, and don't depend on how many cases run at once.
 *
 * @throws {FormatError} when the task or the model is not what it should be
 * @throws {PareError} when a case can't be run, or needs a baseline and there is none, or nothing could be scored
 * @example
 * const { score } = await evaluateTask({ model: "model.gguf", task: "cases.jsonl" });
 */
export async function evaluateTask(request: EvaluateTaskRequest, options: RunOptions = {}): Promise<TaskResult> {
  const { against, backend, scorer, stop, onCase, waitMs, judging: terms = {}, ...rest } = request;
  const defaults = { scorer, stop, excludeFaulty: request.excludeFaulty };
  const task = typeof request.task === "string" ? await readTask(request.task, defaults) : request.task;
  const taskRequest: TaskRequest = { ...rest, task };
  requireAllowed(taskRequest);
  const run = (input: TaskRequest, listener?: EvaluateTaskRequest["onCase"]): Promise<TaskResult> =>
    diagnosing([input.model], () =>
      isolate<TaskRequest, TaskResult>("evaluate/task.job", input, {
        ...options,
        backend,
        onEvent: (result) => listener?.(result as CaseResult),
        what: `running the task on "${input.model}"`,
      }),
    );
  if (against === undefined) requireBaseline(taskRequest);
  const judging = askingJudges({ ...terms, threads: request.threads, waitMs }, options);
  await requireJudging({ ...taskRequest, against }, terms, judging);
  const judged = (result: TaskResult, asked: TaskRequest): Promise<TaskResult> | TaskResult =>
    terms.state === "later" ? result : judgeTask(result, asked, judging);
  if (against === undefined) return judged(await run(taskRequest, onCase), taskRequest);
  const baselineRequest = { ...taskRequest, model: against, adapter: undefined, isBaseline: true };
  const answered = await run(baselineRequest);
  const candidateRequest = { ...taskRequest, baselineAnswers: answersOf(answered) };
  const result = await judged(await run(candidateRequest, onCase), candidateRequest);
  const { score, cases } = await judged(answered, baselineRequest);
  return { ...result, baseline: { model: against, score, cases } };
}

/** How judges are asked; one that is a file is run as a baseline. */
export function askingJudges(
  {
    memory = new ShortMemory(),
    spending,
    threads,
    waitMs,
  }: JudgeTerms & Pick<EvaluateTaskRequest, "threads" | "waitMs">,
  options: RunOptions,
): AskOptions {
  return {
    ...options,
    waitMs,
    memory,
    onSpent: spending && ((use) => spending.spend(use)),
    runFile: (model, task, onCase) =>
      evaluateTask({ model, task, isBaseline: true, excludeFaulty: true, threads, onCase }, options),
  };
}

/** Finds out whether judges are there, and what they may cost, before the first answer is made. */
async function requireJudging(
  request: TaskRequest & Pick<EvaluateTaskRequest, "against">,
  { spending, state }: JudgeTerms,
  asking: AskOptions,
): Promise<void> {
  if (state === "later") return;
  if (state === undefined) spending?.requireUse(request.task);
  const cases = selectCases(request);
  const ofBaseline =
    request.against === undefined ? [] : cases.filter((one) => !SCORERS[one.scorer].needsBaseline(one));
  spending?.requireRoom(spending.atMost([...cases, ...ofBaseline], request.maxTokens));
  if (state !== "ready") await requireJudges(cases, request.repeats ?? request.task.repeats, asking);
}

/** Answers by case id, as `baselineAnswers` takes them. */
export function answersOf(result: Pick<TaskResult, "perCase">): Record<string, string> {
  return Object.fromEntries(result.perCase.map(({ id, answer }) => [id, answer]));
}

/**
 * Scores a loaded model on a task, in this process: call it in a job.
 *
 * @throws as {@link evaluateTask}
 */
export async function evaluateTaskInProcess(
  model: LlamaModel,
  request: TaskRequest,
  options: TaskRunOptions = {},
): Promise<TaskResult> {
  requireBaseline(request);
  requireAllowed(request);
  await prepareScorers(selectCases(request));
  const startedAt = performance.now();
  const selected = selectCases(request);
  const plan = planTask(model, selected, request);
  const tooLong = new Set(plan.excluded.map(({ id }) => id));
  const cases = selected.filter(({ id }) => !tooLong.has(id));
  const byId = new Map<string, CaseResult>();
  const add = (result: CaseResult): void => {
    byId.set(result.id, result);
    options.onCase?.(result);
    options.onProgress?.({
      stage: "answering",
      done: byId.size,
      total: cases.length,
      unit: "cases",
      detail: result.id,
    });
  };
  const keepsPrefix = commonPrefix(plan.prompts).length > 0;
  const { threads, cacheType } = request;
  using lanes = new Lanes(model, { laneTokens: plan.laneTokens, threads, cacheType, keepsPrefix });
  if (keepsPrefix) lanes.sharePrefix(plan.prompts);
  await runChoices(lanes, plan, request, { ...options, add });
  const decodeMs = await runAnswers(lanes, plan, request, { ...options, add });
  const perCase = cases.map(({ id }) => byId.get(id)!);
  const mayLackScores = request.isBaseline || cases.some(isJudged);
  const summary = summarize({ ...request, isBaseline: mayLackScores }, cases, perCase, {
    decodeMs,
    seconds: (performance.now() - startedAt) / 1000,
  });
  const excluded = [...(request.task.excluded ?? []), ...plan.excluded];
  const { contradictions = [] } = request.task;
  return {
    ...summary,
    ...(contradictions.length > 0 ? { contradictions } : {}),
    ...(excluded.length > 0 ? { excluded } : {}),
  };
}

function selectCases({ task, cases }: TaskRequest): TaskCase[] {
  if (cases === undefined) return task.cases;
  if (typeof cases === "number") return task.cases.slice(0, cases);
  const wanted = new Set(cases);
  const selected = task.cases.filter(({ id }) => wanted.delete(id));
  const [unknown] = wanted;
  if (unknown !== undefined) throw new UsageError(`Task "${task.path}" has no case "${unknown}"`);
  return selected;
}

function requireBaseline(request: TaskRequest): void {
  if (request.isBaseline) return;
  const { baselineAnswers = {}, task } = request;
  const lacking = selectCases(request).find(
    (one) => SCORERS[one.scorer].needsBaseline(one) && !Object.hasOwn(baselineAnswers, one.id),
  );
  if (lacking === undefined) return;
  throw new UsageError(
    `Cannot score task "${task.path}": line ${lacking.line} has no "expect", and there is no baseline to agree with`,
    { hint: "Add what is expected, or name a baseline model with --against" },
  );
}

/** Code of strangers runs only where whoever runs the task has said so. */
function requireAllowed(request: TaskRequest): void {
  const running = selectCases(request).find(({ scorer }) => SCORERS[scorer].runsCode);
  if (request.allowCode || running === undefined) return;
  throw new UsageError(`Task "${request.task.path}" runs code to score line ${running.line} ("${running.scorer}")`, {
    hint: "Read what it runs, then allow it with --allow-code",
  });
}

/** What scorers lack is found before the first token. */
async function prepareScorers(cases: readonly TaskCase[]): Promise<void> {
  for (const { scorer, language = "javascript", score } of cases) {
    if (scorer === "code") requireLanguage(language);
    if (scorer === "function") await loadFunction(score!);
  }
}

interface CaseOptions extends RunOptions {
  add(result: CaseResult): void;
}

/** Choices run one after the other: each case computes its prompt once and its choices on copies of that. */
async function runChoices(
  lanes: Lanes,
  plan: TaskPlan,
  request: TaskRequest,
  { add, signal }: CaseOptions,
): Promise<void> {
  for (const { taskCase, request: asked } of plan.choices) {
    await new Promise((resolve) => setImmediate(resolve)); // lets an abort in
    signal?.throwIfAborted();
    const { index, logLikelihoods, promptTokens, prefillMs } = choose(lanes, asked);
    const answer = taskCase.choices![index] ?? "";
    const ended = index < 0 ? "not-a-number" : "chosen";
    const measured = {
      promptTokens,
      answerTokens: 0,
      prefillMs,
      decodeTokensPerSecond: null,
      logLikelihoods,
      ...(request.tellConfidence && { confidence: Math.max(...probabilitiesOf(logLikelihoods)) }),
    };
    add(await caseResult(taskCase, request, { answer, ended, ...measured }));
  }
}

/** @returns wall time of all steps, in which several answers grew at once */
async function runAnswers(
  lanes: Lanes,
  plan: TaskPlan,
  request: TaskRequest,
  { add, signal }: CaseOptions,
): Promise<number> {
  const startedAt = performance.now();
  const settings = { ...request.task, ...definedOf(request) };
  const { repeats = 1 } = settings;
  const asked = plan.answers.flatMap(({ taskCase, request: { ...one } }) =>
    Array.from({ length: repeats }, (_, repeat) => {
      const meter = request.tellConfidence ? new ConfidenceMeter() : undefined;
      const sampler = samplerOf(taskCase.id, repeat, settings);
      return { taskCase, meter, request: watched({ ...one, sampler } as GenerateRequest, meter) };
    }),
  );
  const results: CaseResult[] = [];
  let scoring = Promise.resolve();
  const score = async (index: number, measured: Measured): Promise<void> => {
    results[index] = await caseResult(asked[index]!.taskCase, request, measured);
    const first = index - (index % repeats);
    const ofCase = Array.from({ length: repeats }, (_, repeat) => results[first + repeat]);
    if (ofCase.every((one) => one !== undefined)) add(mergeRepeats(ofCase));
  };
  const answers = await generate(
    lanes,
    asked.map((planned) => planned.request),
    {
      parallel: request.parallel,
      signal,
      onAnswer: (index, { text, reason, promptTokens, answerTokens, prefillMs, decodeMs }) => {
        const decodeTokensPerSecond = decodeMs > 0 ? ((answerTokens - 1) / decodeMs) * 1000 : null;
        const { meter } = asked[index]!;
        const confidence = meter ? { confidence: meter.confidence } : {};
        const measured = { promptTokens, answerTokens, prefillMs, decodeTokensPerSecond, ...confidence };
        scoring = scoring.then(() => score(index, { answer: text, ended: reason, ...measured }));
        scoring.catch(() => undefined); // it is thrown below
      },
    },
  );
  const elapsedMs = performance.now() - startedAt;
  await scoring;
  return elapsedMs - answers.reduce((sum, { prefillMs }) => sum + prefillMs, 0);
}

/** The settings of a request that were given. */
function definedOf({ repeats, temperature, seed }: RepeatSettings): RepeatSettings {
  return { ...optional("repeats", repeats), ...optional("temperature", temperature), ...optional("seed", seed) };
}

type Measured = Omit<CaseResult, "id" | "score" | "explanation" | "tags" | "parts" | "label" | "repeats">;

async function caseResult(taskCase: TaskCase, request: TaskRequest, measured: Measured): Promise<CaseResult> {
  const { value, explanation, parts, label } = await scoreOf(
    taskCase,
    request.baselineAnswers?.[taskCase.id],
    measured,
  );
  return {
    id: taskCase.id,
    score: value,
    ...(explanation ? { explanation } : {}),
    ...optional("parts", parts),
    ...optional("label", label),
    tags: taskCase.tags,
    ...measured,
  };
}

/** The scorer's verdict, with what it can't know: that the answer was cut off, or that the model is broken. */
export async function scoreOf(
  taskCase: TaskCase,
  baselineAnswer: string | undefined,
  { answer, ended, answerTokens }: Pick<CaseResult, "answer" | "ended" | "answerTokens">,
): Promise<Score> {
  if (ended === "not-a-number") return { value: 0, explanation: "the model's logits are not numbers" };
  const scorer = SCORERS[taskCase.scorer];
  if (scorer.needsBaseline(taskCase) && baselineAnswer === undefined) {
    return { value: null, explanation: 'it has no "expect", and there is no baseline to agree with' };
  }
  const score = await scorer.score(answer, taskCase, baselineAnswer);
  if (score.value === 1 || (ended !== "length" && ended !== "context")) return score;
  const where = ended === "length" ? `after ${answerTokens} tokens` : "at the end of the context";
  return { ...score, explanation: `${score.explanation ?? "it is wrong"} (cut off ${where})` };
}
