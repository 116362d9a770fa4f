// Runs a task's cases through a model and scores the answers. The model works in a child process; `evaluateTaskInProcess` is
// for callers that are one already.
import { performance } from "node:perf_hooks";

import { PareError, UsageError } from "../errors.js";
import { diagnosing } from "../model/diagnose.js";
import { isolate } from "../native/isolate.js";
import type { LlamaModel } from "../native/llama-model.js";
import type { Backend } from "../native/platform.js";
import { optional } from "../support/optional.js";
import type { RunOptions } from "../support/progress.js";
import { type CalibrationResult, calibrationOf, probabilitiesOf } from "./calibration.js";
import { choose } from "./choose.js";
import { ConfidenceMeter, watched } from "./confidence.js";
import { type EndReason, generate } from "./generate.js";
import { commonPrefix, Lanes } from "./lanes.js";
import { SCORERS } from "./scorers/registry.js";
import { type Interval, meanInterval, wilsonInterval } from "./statistics.js";
import { planTask, type PlanOptions, type TaskPlan } from "./task-plan.js";
import type { FaultyCase } from "./task-faults.js";
import { readTask, type Task, type TaskCase, type TaskDefaults } from "./task.js";

export interface TaskRequest extends PlanOptions {
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
  /** Also tell how sure the model was of each answer. */
  tellConfidence?: boolean | undefined;
}

export interface CaseResult {
  id: string;
  /** 0 to 1; null where the answer can't be scored. */
  score: number | null;
  answer: string;
  /** Why it is not 1. */
  explanation?: string;
  tags: string[];
  /** Why the answer ended; `chosen` for a choice. */
  ended: EndReason | "chosen";
  promptTokens: number;
  answerTokens: number;
  prefillMs: number;
  /** While other cases ran beside it; null for answers of a single token and for choices. */
  decodeTokensPerSecond: number | null;
  /** For choices: ln p of each, normalized as the case asks. */
  logLikelihoods?: number[];
  /** Where it was asked for: the chosen one's share of the choices' likelihoods, or the mean probability of the answer's tokens. */
  confidence?: number;
}

export interface TaskFailure {
  id: string;
  expected: string;
  answer: string;
  explanation: string;
}

export interface TaskResult {
  model: string;
  task: { name: string; path: string; sha256: string };
  /** Mean score with its 95 % interval; null only for a baseline of which nothing could be scored. */
  score: Interval | null;
  /** Cases scored. */
  cases: number;
  tags: Record<string, Interval & { cases: number }>;
  /** The tag with the lowest score, with an interval that holds for all tags at once; absent without two tags. */
  worstTag?: Interval & { tag: string; cases: number };
  /** How far confidence can be trusted; only where all cases are choices with a known answer. */
  calibration?: CalibrationResult;
  failures: TaskFailure[];
  /** Answers that could not be judged; they count neither for nor against. */
  unscored: { id: string; answer: string; explanation: string }[];
  /** Cases that ask the same and expect different answers. */
  contradictions?: FaultyCase[];
  /** Faulty cases that were left out on request. */
  excluded?: FaultyCase[];
  perCase: CaseResult[];
  speed: {
    seconds: number;
    promptTokens: number;
    answerTokens: number;
    prefillTokensPerSecond: number | null;
    decodeTokensPerSecond: number | null;
  };
  /** With `against`: what the baseline scored on the same cases. */
  baseline?: { model: string; score: Interval | null; cases: number };
}

/** A {@link TaskRequest} for which the task is read and the baseline is run, where they are given as paths. */
export interface EvaluateTaskRequest extends Omit<TaskRequest, "task">, TaskDefaults {
  task: Task | string;
  /** Path of the baseline model: cases without `expect` are scored by agreement with its answers. */
  against?: string | undefined;
  backend?: Backend | undefined;
}

/**
 * Scores a model on a task.
 *
 * Answers are greedy and don't depend on how many cases run at once.
 *
 * @throws {FormatError} when the task or the model is not what it should be
 * @throws {PareError} when a case can't be run, or needs a baseline and there is none, or nothing could be scored
 * @example
 * const { score } = await evaluateTask({ model: "model.gguf", task: "cases.jsonl" });
 */
export async function evaluateTask(request: EvaluateTaskRequest, options: RunOptions = {}): Promise<TaskResult> {
  const { against, backend, scorer, stop, ...rest } = request;
  const defaults = { scorer, stop, excludeFaulty: request.excludeFaulty };
  const task = typeof request.task === "string" ? await readTask(request.task, defaults) : request.task;
  const taskRequest: TaskRequest = { ...rest, task };
  const run = (input: TaskRequest): Promise<TaskResult> =>
    diagnosing([input.model], () =>
      isolate<TaskRequest, TaskResult>("evaluate/task.job", input, {
        ...options,
        backend,
        what: `running the task on "${input.model}"`,
      }),
    );
  if (against === undefined) {
    requireBaseline(taskRequest);
    return run(taskRequest);
  }
  const baseline = await run({ ...taskRequest, model: against, adapter: undefined, isBaseline: true });
  const result = await run({ ...taskRequest, baselineAnswers: answersOf(baseline) });
  return { ...result, baseline: { model: against, score: baseline.score, cases: baseline.cases } };
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
  options: RunOptions = {},
): Promise<TaskResult> {
  requireBaseline(request);
  const startedAt = performance.now();
  const selected = selectCases(request);
  const plan = planTask(model, selected, request);
  const tooLong = new Set(plan.excluded.map(({ id }) => id));
  const cases = selected.filter(({ id }) => !tooLong.has(id));
  const byId = new Map<string, CaseResult>();
  const add = (result: CaseResult): void => {
    byId.set(result.id, result);
    options.onProgress?.({
      stage: "answering",
      done: byId.size,
      total: cases.length,
      unit: "cases",
      detail: result.id,
    });
  };
  const keepsPrefix = commonPrefix(plan.prompts).length > 0;
  using lanes = new Lanes(model, { laneTokens: plan.laneTokens, threads: request.threads, keepsPrefix });
  if (keepsPrefix) lanes.sharePrefix(plan.prompts);
  await runChoices(lanes, plan, request, { ...options, add });
  const decodeMs = await runAnswers(lanes, plan, request, { ...options, add });
  const perCase = cases.map(({ id }) => byId.get(id)!);
  const summary = summarize(request, cases, perCase, { decodeMs, seconds: (performance.now() - startedAt) / 1000 });
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
    const confidence = request.tellConfidence ? { confidence: Math.max(...probabilitiesOf(logLikelihoods)) } : {};
    const measured = {
      promptTokens,
      answerTokens: 0,
      prefillMs,
      decodeTokensPerSecond: null,
      logLikelihoods,
      ...confidence,
    };
    add(caseResult(taskCase, request, { answer, ended, ...measured }));
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
  const meters = plan.answers.map(() => (request.tellConfidence ? new ConfidenceMeter() : undefined));
  const answers = await generate(
    lanes,
    plan.answers.map((planned, index) => watched(planned.request, meters[index])),
    {
      parallel: request.parallel,
      signal,
      onAnswer: (index, { text, reason, promptTokens, answerTokens, prefillMs, decodeMs }) => {
        const decodeTokensPerSecond = decodeMs > 0 ? ((answerTokens - 1) / decodeMs) * 1000 : null;
        const confidence = meters[index] ? { confidence: meters[index].confidence } : {};
        const measured = { promptTokens, answerTokens, prefillMs, decodeTokensPerSecond, ...confidence };
        add(caseResult(plan.answers[index]!.taskCase, request, { answer: text, ended: reason, ...measured }));
      },
    },
  );
  return performance.now() - startedAt - answers.reduce((sum, { prefillMs }) => sum + prefillMs, 0);
}

function caseResult(
  taskCase: TaskCase,
  request: TaskRequest,
  measured: Omit<CaseResult, "id" | "score" | "explanation" | "tags">,
): CaseResult {
  const { value, explanation } = scoreOf(taskCase, request, measured);
  return { id: taskCase.id, score: value, ...(explanation ? { explanation } : {}), tags: taskCase.tags, ...measured };
}

/** The scorer's verdict, with what it can't know: that the answer was cut off, or that the model is broken. */
function scoreOf(
  taskCase: TaskCase,
  request: TaskRequest,
  { answer, ended, answerTokens }: Pick<CaseResult, "answer" | "ended" | "answerTokens">,
): { value: number | null; explanation?: string } {
  if (ended === "not-a-number") return { value: 0, explanation: "the model's logits are not numbers" };
  const scorer = SCORERS[taskCase.scorer];
  const baselineAnswer = request.baselineAnswers?.[taskCase.id];
  if (scorer.needsBaseline(taskCase) && baselineAnswer === undefined) {
    return { value: null, explanation: 'it has no "expect", and there is no baseline to agree with' };
  }
  const score = scorer.score(answer, taskCase, baselineAnswer);
  if (score.value === 1 || (ended !== "length" && ended !== "context")) return score;
  const where = ended === "length" ? `after ${answerTokens} tokens` : "at the end of the context";
  return { ...score, explanation: `${score.explanation ?? "it is wrong"} (cut off ${where})` };
}

function summarize(
  request: TaskRequest,
  cases: TaskCase[],
  perCase: CaseResult[],
  time: { decodeMs: number; seconds: number },
): TaskResult {
  const { name, path, sha256 } = request.task;
  const scored = perCase.filter(({ score }) => score !== null);
  const unscored = perCase
    .filter(({ score }) => score === null)
    .map(({ id, answer, explanation = "" }) => ({ id, answer, explanation }));
  if (scored.length === 0 && !request.isBaseline) {
    throw new PareError(
      `Nothing in task "${path}" could be scored: ${unscored[0]?.explanation ?? "no case was chosen"}`,
    );
  }
  return {
    model: request.model,
    task: { name, path, sha256 },
    score: scored.length === 0 ? null : intervalOf(scored),
    cases: scored.length,
    tags: perTag(scored),
    ...optional("worstTag", worstTag(scored)),
    ...optional("calibration", calibrationOfChoices(cases, perCase)),
    failures: failuresOf(request, cases, perCase),
    unscored,
    perCase,
    speed: speedOf(perCase, time),
  };
}

/** Wilson's interval for right and wrong, Student's where scores lie between. */
function intervalOf(scored: readonly CaseResult[], confidence = 0.95): Interval {
  const values = scored.map(({ score }) => score!);
  if (values.some((value) => value !== 0 && value !== 1)) return meanInterval(values, confidence);
  return wilsonInterval(values.filter((value) => value === 1).length, values.length, confidence);
}

/** Of many tags one looks bad by chance: its interval is as wide as it takes for all of them to hold at once (Bonferroni). */
function worstTag(scored: readonly CaseResult[]): TaskResult["worstTag"] {
  const tags = [...new Set(scored.flatMap((one) => one.tags))].sort();
  if (tags.length < 2) return undefined;
  const confidence = 1 - 0.05 / tags.length;
  return tags
    .map((tag) => {
      const tagged = scored.filter((one) => one.tags.includes(tag));
      return { tag, cases: tagged.length, ...intervalOf(tagged, confidence) };
    })
    .reduce((worst, one) => (one.mean < worst.mean || (one.mean === worst.mean && one.low < worst.low) ? one : worst));
}

function calibrationOfChoices(
  cases: readonly TaskCase[],
  perCase: readonly CaseResult[],
): CalibrationResult | undefined {
  const choices = cases.flatMap((taskCase, index) => {
    const { logLikelihoods } = perCase[index]!;
    if (taskCase.scorer !== "choice" || taskCase.expect === undefined) return [];
    if (!logLikelihoods?.every(Number.isFinite)) return [];
    const expected = taskCase.choices!.indexOf(SCORERS.choice.expected(taskCase, undefined));
    return [{ probabilities: probabilitiesOf(logLikelihoods), expected }];
  });
  return choices.length > 0 && choices.length === cases.length ? calibrationOf(choices) : undefined;
}

function perTag(scored: readonly CaseResult[]): TaskResult["tags"] {
  const tags = [...new Set(scored.flatMap(({ tags }) => tags))].sort();
  return Object.fromEntries(
    tags.map((tag) => {
      const tagged = scored.filter(({ tags }) => tags.includes(tag));
      return [tag, { ...intervalOf(tagged), cases: tagged.length }];
    }),
  );
}

function failuresOf(request: TaskRequest, cases: readonly TaskCase[], perCase: readonly CaseResult[]): TaskFailure[] {
  return cases.flatMap((taskCase, i) => {
    const { id, score, answer, explanation = "" } = perCase[i]!;
    if (score === null || score === 1) return [];
    const expected = SCORERS[taskCase.scorer].expected(taskCase, request.baselineAnswers?.[id]);
    return [{ id, expected, answer, explanation }];
  });
}

function speedOf(
  perCase: readonly CaseResult[],
  { decodeMs, seconds }: { decodeMs: number; seconds: number },
): TaskResult["speed"] {
  const sum = (value: (one: CaseResult) => number): number => perCase.reduce((total, one) => total + value(one), 0);
  const promptTokens = sum((one) => one.promptTokens);
  const answerTokens = sum((one) => one.answerTokens);
  const stepTokens = sum((one) => Math.max(0, one.answerTokens - 1)); // the first comes from the prompt's logits
  const prefillMs = sum((one) => one.prefillMs);
  return {
    seconds,
    promptTokens,
    answerTokens,
    prefillTokensPerSecond: prefillMs > 0 ? (promptTokens / prefillMs) * 1000 : null,
    decodeTokensPerSecond: stepTokens > 0 && decodeMs > 0 ? (stepTokens / decodeMs) * 1000 : null,
  };
}
