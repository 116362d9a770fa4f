// What quality is measured with: text or cases. The search knows only this interface, so that another kind of evidence is
// one more file.
import { PareError } from "../errors.js";
import type { CaseDraw } from "../evaluate/paired-trial.js";
import type { RunOptions } from "../support/progress.js";
import type { BaseModel } from "./candidates.js";
import type { Quality } from "./certificate.js";
import type { JudgeTerms } from "../evaluate/judge/judge-task.js";
import type { JudgeSettings } from "../evaluate/judge/judge-settings.js";
import type { EvidencePlan } from "./evidence-plan.js";
import type { JudgedAnswer, Regression } from "./pair-runner.js";

export type Part = "selection" | "confirmation";
/** Screening takes its evidence from the selection part. */
export type Purpose = "screening" | Part;

/** Cheap evidence: divergence from the baseline on little text. */
export interface Screening {
  mean: number;
  standardError: number;
  tokens: number;
}

/** Where a yardstick keeps what the baseline said. */
export interface MeasureOptions extends RunOptions {
  folder: string;
  threads: number | undefined;
  /** In screening, the original that divergence is taken from; the baseline by default. */
  reference?: BaseModel;
}

/** One measurement of a candidate, as it stands in the journal. */
export interface Measurement {
  quality: Quality;
  /** What the baseline itself scored meanwhile, where it was not measured first. */
  baseline?: Quality;
  /** For cases: what the quality was computed from, in the order of drawing. */
  draws?: CaseDraw[];
  /** For cases that are scored by agreement: what the baseline answered, by case id. */
  baselineAnswers?: Record<string, string>;
  /** The beginnings of what the baseline answered, by case id, to look at. */
  baselineShown?: Record<string, string>;
  /** Cases on which the candidate lost most, the worst first. */
  regressions?: Regression[];
  /** Cases that are longer than the context and count for neither side, as notes. */
  tooLong?: string[];
  /** What judges came to. */
  judged?: JudgedAnswer[];
  /** Cases on which a judge named no verdict on the baseline, by id. */
  baselineUnclear?: string[];
}

/** A measurement that may take a while, in pieces that are done once, also across restarts. */
export interface TrialOptions extends MeasureOptions {
  /** Tells the candidate from others; every random choice of its trial comes from it. */
  candidate: string;
  remember<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export interface Yardstick {
  readonly kind: "text" | "cases";
  readonly metric: Quality["metric"];
  /** What the parts count. */
  readonly unit: "tokens" | "cases";
  /** Of the task's content and how it is scored. */
  readonly sha256: string;
  /** The files that the task was read from; of a text and a built-in suite none. */
  readonly files: readonly string[];
  /** The models that score the answers of cases, with what they go by; none of a text. */
  readonly judges: readonly JudgeSettings[];
  /** Size of each part, in `unit`. */
  readonly sizes: { calibration: number; selection: number; confirmation: number };
  /** Text to calibrate a model on, written as it is to see it. */
  calibrationText(base: BaseModel): string;
  /** What candidates are judged by, in pieces that would be found in a text that holds them. */
  judgedPassages(): string[];
  /** Tokens that the longest window or case needs at once. */
  readonly contextNeeded: number;
  /** Tokens that one window or case costs, decoded ones counted four times. */
  readonly tokensEach: number;
  /** Windows or cases that there are to plan with. */
  readonly available: { selection: number; confirmation: number };
  /** What people should know of the evidence, as sentences without a full stop. */
  readonly notes: readonly string[];

  /**
   * Finds out, before anything is measured, whether judges can be asked and what they may cost; from then on they are asked so.
   *
   * @throws {UsageError} when they may cost more than they may, or one is absent
   * @throws {PareError} when an endpoint gives no answer
   */
  openJudges(terms: JudgeTerms, plan: EvidencePlan, options: RunOptions): Promise<void>;
  /** True where the baseline is measured on its own, before the candidates; else it runs beside each of them. */
  isBaselineFirst(purpose: Purpose): boolean;
  /**
   * Measures the baseline, once for each purpose for which it comes first; what follows relates to it.
   *
   */
  prepare(purpose: Purpose, size: number, options: MeasureOptions): Promise<Quality>;
  /** True when the baseline's answers or logits for a purpose are at hand. */
  isPrepared(purpose: Purpose, size: number, options: Pick<MeasureOptions, "folder" | "reference">): boolean;
  screen(modelPath: string, size: number, options: MeasureOptions): Promise<Screening>;
  /**
   * Measures a candidate on up to `size` windows or cases of a part.
   *
   * @throws {NothingToKeep} when the baseline scores 0, on evidence too small to be sure of that
   * @throws {PareError} when it scores 0 for certain
   */
  measure(modelPath: string, part: Part, size: number, options: TrialOptions): Promise<Measurement>;
  /** Takes in what a measurement has shown, in the order in which measurements were made; a resumed fit hands in all of them again. */
  learn(measurement: Measurement): void;
  /** Evidence in `unit` for a number of windows or cases. */
  inUnits(size: number): number;
}

/** Cases that a baseline must all fail to be no use for certain: 0 of so many is a score below 10 % (Wilson's interval). */
export const CERTAIN_ZERO_CASES = 35;

/** The baseline scores 0 on a part, which may be chance: there is nothing that a candidate could keep. */
export class NothingToKeep extends PareError {
  readonly part: Part;

  constructor(part: Part, message: string) {
    super(message);
    this.part = part;
  }
}
