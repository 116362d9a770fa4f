// What comes out of running a task: a result for each case, and what they add up to.
import type { CalibrationResult } from "./calibration.js";
import type { Confusion } from "./confusion.js";
import type { EndReason } from "./generate.js";
import type { RepeatResult } from "./repeats.js";
import type { OrderAgreement } from "./judge/order-agreement.js";
import type { Interval } from "./statistics.js";
import type { FaultyCase } from "./task-faults.js";

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
  /** What was looked at one by one, such as fields of an object or constraints, each 0 to 1. */
  parts?: Record<string, number>;
  /** The label that the answer was read as; "" where it names none. */
  label?: string;
  /** What the judge said, word for word: of a pair with this answer first and with it second. */
  judged?: string[];
  /** Where the case was asked several times: each answer; `score` is their mean and `answer` the first that is not right. */
  repeats?: { score: number | null; answer: string }[];
}

/** What judges came to; see judge/. */
export interface JudgeResult {
  /** Files, or `endpoint#model`. */
  judges: string[];
  /** Answers that were to be judged. */
  cases: number;
  /** Of them those without a clear verdict, which are not scored. */
  unclear: number;
  /** Of pairs that were shown in both orders, how far both agree. */
  order?: OrderAgreement;
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
  /** Where cases are classified: what was taken for what. */
  confusion?: Confusion;
  /** Mean of what was looked at one by one, such as fields of an object or kinds of constraints. */
  parts?: Record<string, { mean: number; cases: number }>;
  /** Where cases were asked several times: how steady the answers are. */
  repeats?: RepeatResult;
  /** Where a model judged: how steady it is. */
  judge?: JudgeResult;
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
