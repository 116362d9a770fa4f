// Quality by cases: how much of the baseline's score a candidate keeps. Both run the same cases, a batch at a time, until it
// is clear on which side of the bar the candidate lies. Screening takes the divergence on the text of some selection cases: a
// score on few cases tells almost nothing, divergence on few tokens much.
import { existsSync } from "node:fs";
import { join } from "node:path";

import { ChatTemplate } from "../evaluate/chat-template.js";
import { Contention } from "../evaluate/contention.js";
import { rubricsOf } from "../evaluate/judge/judge-cases.js";
import type { JudgeSettings } from "../evaluate/judge/judge-settings.js";
import { type JudgeTerms, requireJudges } from "../evaluate/judge/judge-task.js";
import { askingJudges } from "../evaluate/run-task.js";
import { runPairedTrial } from "../evaluate/paired-trial.js";
import { MAX_TOKENS_DEFAULT } from "../evaluate/task-plan.js";
import type { Task, TaskCase } from "../evaluate/task.js";
import { readTask } from "../evaluate/tasks/read-task.js";
import { evaluateText, tokenizeText } from "../evaluate/text.js";
import { PareError } from "../errors.js";
import { sha256 } from "../support/files.js";
import { optional } from "../support/optional.js";
import type { RunOptions } from "../support/progress.js";
import { Random } from "../support/random.js";
import type { BaseModel } from "./candidates.js";
import type { Quality } from "./certificate.js";
import type { EvidencePlan } from "./evidence-plan.js";
import { judgesCostAtMost } from "./judge-record.js";
import { type KnownAnswer, PairRunner } from "./pair-runner.js";
import type { FitRequest } from "./request.js";
import { type Parts, mapParts, splitCases } from "./split.js";
import { ALPHA, qualitiesOf } from "./statistic.js";
import {
  CERTAIN_ZERO_CASES,
  type Measurement,
  type MeasureOptions,
  NothingToKeep,
  type Part,
  type Purpose,
  type Screening,
  type TrialOptions,
  type Yardstick,
} from "./yardstick.js";

/** Tokens per window of the screening text. */
const WINDOW_LENGTH = 256;
/** Fewer tokens say nothing of how two models differ. */
const WINDOW_LENGTH_MIN = 16;
/** A decoded token takes about as long as this many prefilled ones. */
const DECODE_COST = 4;

/** Reads the task and splits its cases. */
export async function createTaskYardstick(
  request: FitRequest,
  bases: readonly BaseModel[],
  options: RunOptions,
): Promise<Yardstick> {
  const task = await readTask(request.task!, { scorer: request.scorer, excludeFaulty: request.excludeFaulty });
  const base = bases[0]!;
  const parts = splitCases(task.cases, ({ prompt, messages }) => prompt ?? JSON.stringify(messages), request.seed);
  const answerTokens = Math.max(...task.cases.map(({ maxTokens }) => maxTokens ?? MAX_TOKENS_DEFAULT));
  const views = new Map<string, ModelView>();
  for (const each of bases) views.set(each.sha256, await viewOf(each, task, parts, options));
  const screenTokens = views.get(base.sha256)!.screenTokens;
  if (screenTokens.length < WINDOW_LENGTH_MIN) {
    const found = `the ${parts.selection.length} of ${task.cases.length} cases that candidates are chosen with have ${screenTokens.length} tokens`;
    throw new PareError(`Task "${task.path}" is too small: ${found}, ${WINDOW_LENGTH_MIN} are needed`, {
      hint: "Some 100 cases are a good start; a bar of 99% needs several hundred to be sure of",
    });
  }
  const longest = Math.max(...[...views.values()].map(({ longestTokens }) => longestTokens));
  return new TaskYardstick({ request, task, base, parts, views, contextNeeded: longest + answerTokens });
}

/** The task as one base model sees it: its chat template, its tokens. */
interface ModelView {
  screenTokens: Int32Array;
  calibrationText: string;
  /** Of the longest case with its expected answer. */
  longestTokens: number;
}

async function viewOf(base: BaseModel, task: Task, parts: Parts<TaskCase[]>, options: RunOptions): Promise<ModelView> {
  const write = caseWriter(base);
  const texts = mapParts(parts, (cases) => cases.map(write));
  const tokenize = (text: string) => tokenizeText({ model: base.path, texts: [text], parseSpecial: true }, options);
  const longest = task.cases.map(write).reduce((a, b) => (b.length > a.length ? b : a));
  return {
    screenTokens: await tokenize(texts.selection.join("")),
    calibrationText: texts.calibration.join(""),
    longestTokens: (await tokenize(longest)).length,
  };
}

class TaskYardstick implements Yardstick {
  readonly kind = "cases";
  readonly metric = "score";
  readonly unit = "cases";
  readonly sizes: Yardstick["sizes"];
  readonly available: Yardstick["available"];
  readonly notes: string[];
  readonly contextNeeded: number;
  readonly tokensEach: number;
  readonly sha256: string;
  readonly files: readonly string[];
  readonly #request: FitRequest;
  readonly #task: Task;
  readonly #base: BaseModel;
  readonly #parts: Parts<TaskCase[]>;
  readonly #views: ReadonlyMap<string, ModelView>;
  readonly #caseOf: ReadonlyMap<string, TaskCase>;
  /** What trials have shown, and what the baseline answered in them. */
  readonly #contention = new Contention();
  readonly #known = new Map<string, KnownAnswer>();
  readonly judges: readonly JudgeSettings[];
  #judging: JudgeTerms = {};

  constructor(setup: {
    request: FitRequest;
    task: Task;
    base: BaseModel;
    parts: Parts<TaskCase[]>;
    views: ReadonlyMap<string, ModelView>;
    contextNeeded: number;
  }) {
    const { task, base, parts, views } = setup;
    const { screenTokens } = views.get(base.sha256)!;
    this.#request = setup.request;
    this.notes = faultNotes(task);
    this.#task = task;
    this.judges = rubricsOf(task.cases);
    this.#caseOf = new Map(task.cases.map((taskCase) => [taskCase.id, taskCase]));
    this.#base = base;
    this.#parts = parts;
    this.#views = views;
    this.contextNeeded = setup.contextNeeded;
    this.tokensEach = DECODE_COST * Math.max(16, screenTokens.length / parts.selection.length); // answers are some part of it
    this.sha256 = task.sha256;
    this.files = task.files ?? [];
    this.sizes = mapParts(parts, (cases) => cases.length) as unknown as Yardstick["sizes"];
    this.available = { selection: parts.selection.length, confirmation: parts.confirmation.length };
  }

  async openJudges(terms: JudgeTerms, plan: EvidencePlan, options: RunOptions): Promise<void> {
    terms.spending?.requireUse(this.#task);
    terms.spending?.requireRoom(judgesCostAtMost(this.#parts, plan, terms.spending));
    this.#judging = terms;
    if (terms.state === "ready") return;
    await requireJudges(this.#task.cases, this.#task.repeats, askingJudges(terms, options));
  }

  calibrationText({ sha256 }: BaseModel): string {
    return this.#views.get(sha256)!.calibrationText;
  }

  judgedPassages(): string[] {
    const { selection, confirmation } = this.#parts;
    return [...selection, ...confirmation].map(({ prompt, messages }) => prompt ?? messages!.at(-1)!.content);
  }

  inUnits(size: number): number {
    return size;
  }

  isBaselineFirst(purpose: Purpose): boolean {
    return purpose === "screening";
  }

  isPrepared(purpose: Purpose, size: number, options: Pick<MeasureOptions, "folder" | "reference">): boolean {
    return existsSync(this.#baselineFile(purpose, size, options));
  }

  async prepare(purpose: Purpose, size: number, options: MeasureOptions): Promise<Quality> {
    await this.#divergence((options.reference ?? this.#base).path, size, options, {
      baselineFile: this.#baselineFile(purpose, size, options),
    });
    return { metric: "score", part: "selection", kept: { mean: 1, low: 1, high: 1 } };
  }

  async screen(modelPath: string, size: number, options: MeasureOptions): Promise<Screening> {
    const against = this.#baselineFile("screening", size, options);
    const { klDivergence, tokens } = await this.#divergence(modelPath, size, options, { against });
    return { mean: klDivergence!.mean, standardError: klDivergence!.standardError, tokens };
  }

  async measure(modelPath: string, part: Part, size: number, options: TrialOptions): Promise<Measurement> {
    const { keep, claim, seed } = this.#request;
    const cases = this.#parts[part];
    const models = { baseline: this.#base.path, candidate: modelPath };
    const settings = { ...this.#request, judging: this.#judging };
    const pair = new PairRunner(this.#task, models, this.#known, options, settings);
    const { sequence, draws } = await runPairedTrial(
      {
        cases,
        keep,
        size: claim === "task" ? cases.length : Infinity,
        alpha: ALPHA,
        drawsMax: size,
        contention: this.#contention,
        random: new Random(seed).fork(`draws ${part} ${options.candidate}`),
      },
      async (batch, number) => {
        const scores = await pair.run(batch, number);
        if (pair.isJudgeSilent) throw this.#silentJudge(pair.judged.length);
        if (pair.isBaselineZero && pair.casesRun >= CERTAIN_ZERO_CASES) throw this.#nothingToKeep(part, pair.casesRun);
        return scores;
      },
    );
    if (pair.isBaselineZero) throw this.#nothingToKeep(part, draws.length);
    return {
      ...qualitiesOf(sequence, part, cases, draws),
      draws,
      baselineAnswers: pair.answersNeeded,
      tooLong: pair.tooLong,
      regressions: pair.regressions,
      baselineShown: pair.baselineShown,
      ...(this.judges.length > 0 ? { judged: pair.judged, baselineUnclear: pair.baselineUnclear } : {}),
    };
  }

  learn(measurement: Measurement): void {
    const { draws = [], baselineAnswers = {}, baselineShown = {}, tooLong = [], baselineUnclear = [] } = measurement;
    const unclear = new Set(baselineUnclear);
    for (const note of tooLong) if (!this.notes.includes(note)) this.notes.push(note);
    const cases = draws.map(({ id }) => this.#caseOf.get(id)!);
    this.#contention.learn(cases, draws);
    for (const draw of draws) {
      this.#known.set(draw.id, {
        score: draw.baseline,
        ...optional("answer", baselineAnswers[draw.id]),
        ...optional("shown", baselineShown[draw.id]),
        ...(unclear.has(draw.id) ? { judged: { isClear: false } } : {}),
      });
    }
  }

  #silentJudge(answers: number): PareError {
    return new PareError(`The judge names no verdict on any of ${answers} answers of "${this.#task.path}"`, {
      hint: "See what it says with: pare eval MODEL --task FILE --json; then take another judge or a clearer rubric",
    });
  }

  #nothingToKeep(part: Part, size: number): PareError {
    const zero = `The baseline "${this.#base.name}" scores 0 on the ${part} part of "${this.#task.path}"`;
    if (size >= CERTAIN_ZERO_CASES) {
      return new PareError(`${zero}: there is no quality to keep`, {
        hint: "Look at its answers with: pare eval MODEL --task FILE",
      });
    }
    const cases = size === 1 ? "1 case" : `${size} cases`;
    return new NothingToKeep(part, `${zero}, ${cases}: pare eval shows its answers`);
  }

  #divergence(model: string, size: number, options: MeasureOptions, file: { against?: string; baselineFile?: string }) {
    const { model: original, sha256 } = options.reference ?? this.#base;
    const tokens = this.#views.get(sha256)!.screenTokens;
    return evaluateText(
      {
        model,
        tokens,
        contextLength: windowLength(tokens.length, original.spec.contextLength),
        windows: { start: 0, count: size },
        threads: options.threads,
        ...file,
      },
      { signal: options.signal, onProgress: options.onProgress },
    );
  }

  #baselineFile(
    purpose: Purpose,
    size: number,
    { folder, reference }: Pick<MeasureOptions, "folder" | "reference">,
  ): string {
    const other = reference && reference !== this.#base ? `-${reference.sha256.slice(0, 8)}` : "";
    return join(folder, `baseline-${purpose}-${size}-${sha256(this.#task.path).slice(0, 8)}${other}`);
  }
}

/** So that even few tokens give two windows. */
function windowLength(tokens: number, trained: number): number {
  return Math.min(WINDOW_LENGTH, trained || WINDOW_LENGTH, Math.max(WINDOW_LENGTH_MIN, Math.floor(tokens / 2)));
}

/** Faults that the notes name before they only count them. */
const FAULTS_NAMED = 5;

function faultNotes({ excluded = [], contradictions = [] }: Task): string[] {
  const notes = [
    ...excluded.map(({ line, reason }) => `Line ${line} of the task was left out: ${reason}`),
    ...contradictions.map(({ line, reason }) => `Line ${line} of the task may be wrong: ${reason}`),
  ];
  const more = notes.length - FAULTS_NAMED;
  return more > 0 ? [...notes.slice(0, FAULTS_NAMED), `${more} more lines of the task are faulty like these`] : notes;
}

/** Writes a case as the model sees it: prompt, expected answer where there is one, end of turn. */
function caseWriter({ model, path }: BaseModel): (taskCase: TaskCase) => string {
  const { metadata } = model;
  const special = (key: string): string => {
    const id = metadata.number(`tokenizer.ggml.${key}_token_id`);
    const tokens = metadata.array("tokenizer.ggml.tokens");
    return id === undefined || !tokens ? "" : String(tokens.values()[id] ?? "");
  };
  const eosText = special("eos");
  const source = metadata.string("tokenizer.chat_template");
  const template =
    source === undefined ? undefined : new ChatTemplate(source, { bosText: special("bos"), eosText, modelPath: path });
  return ({ id, prompt, messages, expect, choices }) => {
    if (messages && !template) {
      throw new PareError(`Case "${id}" has messages, but "${path}" has no chat template`, {
        hint: "Use a prompt instead, which the model continues as it is",
      });
    }
    const question = messages ? template!.render({ messages }) : prompt!;
    return `${question}${answerText(expect, choices)}${messages ? eosText : "\n"}`;
  };
}

function answerText(expect: unknown, choices: readonly string[] | undefined): string {
  if (expect === undefined) return "";
  if (choices && typeof expect === "number") return choices[expect] ?? "";
  return typeof expect === "string" ? expect : JSON.stringify(expect);
}
