// Quality by cases: how much of the baseline's score a candidate keeps, case by case. Screening takes the divergence on the
// text of some selection cases: a score on few cases tells almost nothing, divergence on few tokens much.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { ChatTemplate } from "../evaluate/chat-template.js";
import { answersOf, evaluateTask } from "../evaluate/run-task.js";
import type { CaseResult, TaskResult } from "../evaluate/run-task.js";
import { MAX_TOKENS_DEFAULT } from "../evaluate/task-plan.js";
import { type Task, type TaskCase, readTask } from "../evaluate/task.js";
import { evaluateText, tokenizeText } from "../evaluate/text.js";
import { PareError } from "../errors.js";
import { sha256, writeFileAtomic } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { shareOfScoreKept } from "./bar.js";
import type { BaseModel } from "./candidates.js";
import type { Quality } from "./certificate.js";
import { requireOneVocabulary } from "./one-vocabulary.js";
import type { FitRequest } from "./request.js";
import { type Parts, mapParts, splitCases } from "./split.js";
import {
  CERTAIN_ZERO_CASES,
  type MeasureOptions,
  NothingToKeep,
  type Part,
  type Purpose,
  type Screening,
  type Yardstick,
} from "./yardstick.js";

/** Tokens per window of the screening text. */
const WINDOW_LENGTH = 256;
/** Fewer tokens say nothing of how two models differ. */
const WINDOW_LENGTH_MIN = 16;
/** A decoded token takes about as long as this many prefilled ones. */
const DECODE_COST = 4;

/** What the baseline said, kept for the pairing. */
interface BaselineAnswers {
  answers: Record<string, string>;
  scores: Record<string, number>;
}

/** Reads the task and splits its cases. */
export async function createTaskYardstick(
  request: FitRequest,
  bases: readonly BaseModel[],
  options: RunOptions,
): Promise<Yardstick> {
  requireOneVocabulary(bases, "cases");
  const task = await readTask(request.task!, { scorer: request.scorer });
  const base = bases[0]!;
  const write = caseWriter(base);
  const parts = splitCases(task.cases, ({ prompt, messages }) => prompt ?? JSON.stringify(messages), request.seed);
  const texts = mapParts(parts, (cases) => cases.map(write));
  const tokens = await tokenizeText(
    { model: base.path, texts: [texts.selection.join("")], parseSpecial: true },
    options,
  );
  if (tokens.length < WINDOW_LENGTH_MIN) {
    const found = `the ${parts.selection.length} of ${task.cases.length} cases that candidates are chosen with have ${tokens.length} tokens`;
    throw new PareError(`Task "${task.path}" is too small: ${found}, ${WINDOW_LENGTH_MIN} are needed`, {
      hint: "Some 100 cases are a good start; a bar of 99% needs several hundred to be sure of",
    });
  }
  const longest = task.cases.map(write).reduce((a, b) => (b.length > a.length ? b : a));
  const longestTokens = await tokenizeText({ model: base.path, texts: [longest], parseSpecial: true }, options);
  const answerTokens = Math.max(...task.cases.map(({ maxTokens }) => maxTokens ?? MAX_TOKENS_DEFAULT));
  return new TaskYardstick({
    task,
    base,
    parts,
    screenTokens: tokens,
    calibrationText: texts.calibration.join(""),
    contextNeeded: longestTokens.length + answerTokens,
  });
}

class TaskYardstick implements Yardstick {
  readonly kind = "cases";
  readonly metric = "score";
  readonly unit = "cases";
  readonly sizes: Yardstick["sizes"];
  readonly available: Yardstick["available"];
  readonly notes = [];
  readonly contextNeeded: number;
  readonly tokensEach: number;
  readonly calibrationText: string;
  readonly sha256: string;
  readonly #task: Task;
  readonly #base: BaseModel;
  readonly #parts: Parts<TaskCase[]>;
  readonly #screenTokens: Int32Array;
  readonly #windowLength: number;

  constructor(setup: {
    task: Task;
    base: BaseModel;
    parts: Parts<TaskCase[]>;
    screenTokens: Int32Array;
    calibrationText: string;
    contextNeeded: number;
  }) {
    const { task, base, parts, screenTokens } = setup;
    this.#task = task;
    this.#base = base;
    this.#parts = parts;
    this.#screenTokens = screenTokens;
    this.#windowLength = Math.min(
      WINDOW_LENGTH,
      base.model.spec.contextLength || WINDOW_LENGTH,
      Math.max(WINDOW_LENGTH_MIN, Math.floor(screenTokens.length / 2)),
    );
    this.calibrationText = setup.calibrationText;
    this.contextNeeded = setup.contextNeeded;
    this.tokensEach = DECODE_COST * Math.max(16, screenTokens.length / parts.selection.length); // answers are some part of it
    this.sha256 = task.sha256;
    this.sizes = mapParts(parts, (cases) => cases.length) as unknown as Yardstick["sizes"];
    this.available = { selection: parts.selection.length, confirmation: parts.confirmation.length };
  }

  inUnits(size: number): number {
    return size;
  }

  isPrepared(purpose: Purpose, size: number, folder: string): boolean {
    return existsSync(this.#baselineFile(purpose, size, folder));
  }

  async prepare(purpose: Purpose, size: number, options: MeasureOptions): Promise<Quality> {
    const file = this.#baselineFile(purpose, size, options.folder);
    if (purpose === "screening") {
      await this.#divergence(this.#base.path, size, options, { baselineFile: file });
      return { metric: "score", part: "selection", kept: { mean: 1, low: 1, high: 1 } };
    }
    const result = await this.#run(this.#base.path, purpose, size, options, { isBaseline: true });
    const scores = Object.fromEntries(result.perCase.map((one) => [one.id, baselineScore(one)]));
    if (!Object.values(scores).some((score) => score > 0)) {
      throw this.#nothingToKeep(purpose, size);
    }
    await writeFileAtomic(file, JSON.stringify({ answers: answersOf(result), scores } satisfies BaselineAnswers));
    return {
      metric: "score",
      part: purpose,
      kept: { mean: 1, low: 1, high: 1 },
      ...(result.score ? { score: result.score } : {}),
      cases: size,
    };
  }

  async screen(modelPath: string, size: number, options: MeasureOptions): Promise<Screening> {
    const against = this.#baselineFile("screening", size, options.folder);
    const { klDivergence, tokens } = await this.#divergence(modelPath, size, options, { against });
    return { mean: klDivergence!.mean, standardError: klDivergence!.standardError, tokens };
  }

  async measure(modelPath: string, part: Part, size: number, options: MeasureOptions): Promise<Quality> {
    const { answers, scores } = JSON.parse(
      await readFile(this.#baselineFile(part, size, options.folder), "utf8"),
    ) as BaselineAnswers;
    const result = await this.#run(modelPath, part, size, options, { baselineAnswers: answers });
    const pairs = result.perCase.map(({ id, score }) => ({ baseline: scores[id]!, candidate: score ?? 0 })); // what can't be judged is no success
    const { kept, won, lost } = shareOfScoreKept(
      pairs.map(({ baseline }) => baseline),
      pairs.map(({ candidate }) => candidate),
    );
    return {
      metric: "score",
      part,
      kept,
      won,
      lost,
      ...(result.score ? { score: result.score } : {}),
      cases: pairs.length,
    };
  }

  #nothingToKeep(part: Part, size: number): PareError {
    const zero = `The baseline "${this.#base.path}" scores 0 on the ${part} part of "${this.#task.path}"`;
    if (size >= CERTAIN_ZERO_CASES) {
      return new PareError(`${zero}: there is no quality to keep`, {
        hint: "Look at its answers with: pare eval MODEL --task FILE",
      });
    }
    const cases = size === 1 ? "1 case" : `${size} cases`;
    return new NothingToKeep(part, `${zero}, ${cases}: pare eval shows its answers`);
  }

  #run(
    model: string,
    part: Part,
    size: number,
    options: MeasureOptions,
    how: { isBaseline?: boolean; baselineAnswers?: Record<string, string> },
  ): Promise<TaskResult> {
    return evaluateTask(
      { model, task: { ...this.#task, cases: this.#parts[part].slice(0, size) }, threads: options.threads, ...how },
      { signal: options.signal, onProgress: options.onProgress },
    );
  }

  #divergence(model: string, size: number, options: MeasureOptions, file: { against?: string; baselineFile?: string }) {
    return evaluateText(
      {
        model,
        tokens: this.#screenTokens,
        contextLength: this.#windowLength,
        windows: { start: 0, count: size },
        threads: options.threads,
        ...file,
      },
      { signal: options.signal, onProgress: options.onProgress },
    );
  }

  #baselineFile(purpose: Purpose, size: number, folder: string): string {
    return join(folder, `baseline-${purpose}-${size}-${sha256(this.#task.path).slice(0, 8)}`);
  }
}

/** A case without `expect` is scored by agreement with the baseline, which agrees with itself. */
function baselineScore({ score }: CaseResult): number {
  return score ?? 1;
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
