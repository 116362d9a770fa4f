// Runs batches of cases through the baseline and a candidate. What the baseline answered in an earlier trial is known and
// not run again; each run of the engine is remembered, so that an interrupted trial goes on behind its last batch.
import { EngineError, PareError } from "../errors.js";
import { ordersIn } from "../evaluate/judge/judge-cases.js";
import { isJudged, type JudgeTerms } from "../evaluate/judge/judge-task.js";
import type { BothOrders } from "../evaluate/judge/order-agreement.js";
import { type CaseResult, evaluateTask } from "../evaluate/run-task.js";
import { SCORERS } from "../evaluate/scorers/registry.js";
import type { Scorer } from "../evaluate/scorers/scorer.js";
import type { Task, TaskCase } from "../evaluate/task.js";
import { optional } from "../support/optional.js";
import type { FitRequest } from "./request.js";
import type { TrialOptions } from "./yardstick.js";

/** What the baseline said to a case. */
export interface KnownAnswer {
  score: number;
  /** Only where candidates are scored by agreement with it. */
  answer?: string;
  /** The beginning of it, to look at. */
  shown?: string;
  /** Where a judge scored. */
  judged?: JudgedAnswer;
}

/** What a judge came to. */
export interface JudgedAnswer {
  /** It named a verdict. */
  isClear: boolean;
  /** Of a pair. */
  orders?: BothOrders;
}

/** What a fit was asked about running cases. */
type RunSettings = Pick<FitRequest, "excludeFaulty" | "allowCode"> & { judging?: JudgeTerms | undefined };

/** A case on which the candidate did worse, to look at. */
export interface Regression {
  id: string;
  tags: readonly string[];
  /** The end of what was asked. */
  asked: string;
  expected?: string;
  baseline: { score: number; shown: string };
  candidate: { score: number; shown: string };
}

type CandidateAnswer = Pick<KnownAnswer, "score" | "shown" | "judged">;

/** Of a text that is kept to look at. */
const SHOWN_LENGTH = 600;
/** The worst are kept. */
const REGRESSIONS_MAX = 12;

export class PairRunner {
  readonly #task: Task;
  readonly #models: { baseline: string; candidate: string };
  readonly #known: Map<string, KnownAnswer>;
  readonly #options: TrialOptions;
  /** Answers that candidates of this trial were scored by. */
  readonly answersNeeded: Record<string, string> = {};
  /** Cases that did not fit the context, as notes: they score 0 on both sides, which leaves the share kept as it is. */
  readonly tooLong: string[] = [];
  readonly #settings: RunSettings;
  /** What the baseline answered to the cases of this trial, to look at. */
  readonly baselineShown: Record<string, string> = {};
  /** What judges came to in this trial. */
  readonly judged: JudgedAnswer[] = [];
  /** Cases of this trial on which a judge named no verdict on the baseline. */
  readonly baselineUnclear: string[] = [];
  readonly #regressions: Regression[] = [];
  #baselineSum = 0;
  casesRun = 0;

  /** @param known answers of the baseline from earlier trials; not changed here */
  constructor(
    task: Task,
    models: { baseline: string; candidate: string },
    known: ReadonlyMap<string, KnownAnswer>,
    options: TrialOptions,
    settings: RunSettings = {},
  ) {
    const { excludeFaulty, allowCode, judging } = settings;
    this.#settings = { excludeFaulty, allowCode, judging: { ...judging, state: "ready" } };
    this.#task = task;
    this.#models = models;
    this.#known = new Map(known);
    this.#options = options;
  }

  /** True while the baseline has scored nothing at all. */
  get isBaselineZero(): boolean {
    return this.#baselineSum === 0;
  }

  /** True when a judge was asked and has named no verdict at all. */
  get isJudgeSilent(): boolean {
    return this.judged.length > 0 && this.judged.every(({ isClear }) => !isClear);
  }

  /** @returns scores in the batch's order; what can't be judged is no success */
  async run(batch: readonly TaskCase[], number: number): Promise<{ baseline: number; candidate: number }[]> {
    const unknown = batch.filter(({ id }) => !this.#known.has(id));
    if (unknown.length > 0) {
      const answers = await this.#options.remember(`baseline:${number}`, () => this.#runBaseline(unknown));
      for (const [index, answer] of answers.entries()) this.#known.set(unknown[index]!.id, answer);
      this.#noteJudged(answers);
    }
    const known = batch.map(({ id }) => this.#known.get(id)!);
    for (const [index, { answer, shown, judged }] of known.entries()) {
      const { id } = batch[index]!;
      if (judged?.isClear === false) this.baselineUnclear.push(id);
      if (answer !== undefined) this.answersNeeded[id] = answer;
      if (shown !== undefined) this.baselineShown[id] = shown;
    }
    const said = await this.#options.remember(`candidate:${number}`, () => this.#runCandidate(batch));
    this.#noteJudged(said);
    const answers = said.map((answer, index) => withoutAdvantage(answer, known[index]!));
    for (const [index, answer] of answers.entries()) this.#compare(batch[index]!, known[index]!, answer);
    this.casesRun += batch.length;
    this.#baselineSum += known.reduce((sum, { score }) => sum + score, 0);
    return known.map(({ score }, index) => ({ baseline: score, candidate: answers[index]!.score }));
  }

  /** The cases on which the candidate lost most, the worst first. */
  get regressions(): Regression[] {
    const loss = ({ baseline, candidate }: Regression): number => baseline.score - candidate.score;
    return [...this.#regressions].sort((a, b) => loss(b) - loss(a)).slice(0, REGRESSIONS_MAX);
  }

  #noteJudged(answers: readonly Pick<KnownAnswer, "judged">[]): void {
    for (const { judged } of answers) if (judged) this.judged.push(judged);
  }

  #compare({ id, tags, prompt, messages, expect }: TaskCase, baseline: KnownAnswer, candidate: CandidateAnswer): void {
    if (candidate.score >= baseline.score) return;
    const asked = prompt ?? messages?.findLast(({ role }) => role === "user")?.content ?? "";
    this.#regressions.push({
      id,
      tags,
      asked: asked.slice(-SHOWN_LENGTH),
      ...optional("expected", expect === undefined ? undefined : textOf(expect)),
      baseline: { score: baseline.score, shown: baseline.shown ?? "" },
      candidate: { score: candidate.score, shown: candidate.shown ?? "" },
    });
  }

  /** A case without `expect` is scored by agreement with the baseline, which agrees with itself. */
  async #runBaseline(cases: readonly TaskCase[]): Promise<KnownAnswer[]> {
    const results = await this.#evaluate(this.#models.baseline, cases).catch((cause: unknown) => {
      if (!(cause instanceof EngineError)) throw cause;
      throw new PareError(`Cannot measure the baseline: ${cause.message}`, { cause }); // no finding about the candidate
    });
    return results.map((result, index) => {
      if (!result) return { score: 0 };
      const { score, answer } = result;
      const { needsBaseline, selfScore = 1 } = SCORERS[cases[index]!.scorer] as Scorer;
      const shown = answer.slice(0, SHOWN_LENGTH);
      if (needsBaseline(cases[index]!)) return { score: score ?? selfScore, answer, shown };
      return { score: score ?? 0, shown, ...judgedOf(cases[index]!, result) };
    });
  }

  async #runCandidate(cases: readonly TaskCase[]): Promise<CandidateAnswer[]> {
    const results = await this.#evaluate(this.#models.candidate, cases, this.answersNeeded);
    return results.map((result, index) => ({
      score: result?.score ?? 0,
      ...optional("shown", result?.answer.slice(0, SHOWN_LENGTH)),
      ...(result ? judgedOf(cases[index]!, result) : {}),
    }));
  }

  /** @returns in the order of the cases; undefined for one that was left out */
  async #evaluate(
    model: string,
    cases: readonly TaskCase[],
    baselineAnswers: Record<string, string> = {},
  ): Promise<(CaseResult | undefined)[]> {
    const { threads, signal, onProgress } = this.#options;
    // As a baseline: in a small batch it may be that nothing can be scored.
    const request = {
      model,
      threads,
      baselineAnswers,
      isBaseline: true,
      ...this.#settings,
      task: { ...this.#task, cases: [...cases], excluded: [] },
    };
    const { perCase, excluded = [] } = await evaluateTask(request, { signal, onProgress });
    for (const { line, reason } of excluded) {
      const note = `Line ${line} of the task counts for neither side: ${reason}`;
      if (!this.tooLong.includes(note)) this.tooLong.push(note);
    }
    const byId = new Map(perCase.map((result) => [result.id, result]));
    return cases.map(({ id }) => byId.get(id));
  }
}

/** A candidate gains nothing where the judge named no verdict on the baseline: such a case counts for neither side. */
function withoutAdvantage(candidate: CandidateAnswer, { judged }: KnownAnswer): CandidateAnswer {
  return judged?.isClear === false ? { ...candidate, score: 0 } : candidate;
}

function judgedOf(taskCase: TaskCase, { score, judged }: CaseResult): Pick<KnownAnswer, "judged"> {
  if (!isJudged(taskCase)) return {};
  return { judged: { isClear: score !== null, ...optional("orders", ordersIn(judged)) } };
}

function textOf(expected: unknown): string {
  const text = typeof expected === "string" ? expected : JSON.stringify(expected);
  return text.slice(0, SHOWN_LENGTH);
}
