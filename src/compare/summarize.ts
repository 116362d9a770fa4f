// From the answers of all contenders to one comparison: what each scores, by how much it differs on the same cases, how fast it is, what it
// costs, and which ones no other beats in everything.
import type { Integration } from "../evaluate/endpoint/describe-endpoint.js";
import { boundedMeanInterval, type Interval } from "../evaluate/statistics.js";
import { summarize } from "../evaluate/summarize-task.js";
import type { JudgeResult } from "../evaluate/task-result.js";
import type { Task } from "../evaluate/task.js";
import { optional } from "../support/optional.js";
import type { ComparedCase } from "./answer-cases.js";
import type { Contender } from "./contender.js";
import { type Return, type Tariff, costOf, returnOf } from "./money.js";

/** A contender with its answers. */
export interface Answered {
  contender: Contender;
  cases: ComparedCase[];
  integration: Integration & { sizeBytes?: number };
  tariff: Tariff | undefined;
  /** Where a model judged: how steady it was. */
  judge?: JudgeResult;
}

export interface ComparedContender {
  name: string;
  kind: Contender["kind"];
  /** Path, or address and model. */
  spec: string;
  /** Mean score with its 95 % interval. */
  score: Interval;
  cases: number;
  unscored: number;
  /** Score minus the first contender's, on the cases that both were scored on, with its 95 % interval. */
  difference?: Interval;
  worstTag?: { tag: string; mean: number };
  /** Where a model judged: how steady it was. */
  judge?: JudgeResult;
  latencyMs: { median: number; p95: number } | null;
  firstTextMs: number | null;
  /** Means per request. */
  promptTokens: number;
  answerTokens: number;
  /** In dollars; null where no price is known. */
  costPer1000: number | null;
  return?: Return;
  integration: Answered["integration"];
  /** No other is better in score and in what `frontBy` says at once. */
  isOnFront: boolean;
}

export interface Comparison {
  task: { name: string; path: string; sha256: string };
  cases: number;
  frontBy: "cost" | "latency";
  contenders: ComparedContender[];
  notes: string[];
}

interface Extras {
  notes: string[];
  volume: number | undefined;
  investment: number | undefined;
}

/** @param answered the first is the one that others are compared with */
export function summarizeComparison(
  task: Task,
  answered: readonly Answered[],
  { notes, volume, investment }: Extras,
): Comparison {
  const contenders = answered.map((one) => contenderOf(task, one, answered[0]!));
  const frontBy = contenders.every(({ costPer1000 }) => costPer1000 !== null) ? "cost" : "latency";
  const reference = contenders[0]!.costPer1000;
  return {
    task: { name: task.name, path: task.path, sha256: task.sha256 },
    cases: task.cases.length,
    frontBy,
    contenders: contenders.map((one) => ({
      ...one,
      ...(volume === undefined || one.costPer1000 === null || reference === null
        ? {}
        : {
            return: returnOf(
              one.costPer1000 / 1000,
              reference / 1000,
              volume,
              one === contenders[0] ? undefined : investment,
            ),
          }),
      isOnFront: !contenders.some((other) => beats(other, one, frontBy)),
    })),
    notes: [...notes, ...notesOf(contenders, volume, reference)],
  };
}

function contenderOf(
  task: Task,
  { contender, cases, integration, tariff, judge }: Answered,
  first: Answered,
): ComparedContender {
  const { name, kind } = contender;
  const result = summarize({ model: name, task }, task.cases, cases, { decodeMs: 0, seconds: 0 });
  const timed = cases.flatMap(({ milliseconds }) => milliseconds ?? []).sort((a, b) => a - b);
  const begun = cases.flatMap(({ firstTextMs }) => firstTextMs ?? []).sort((a, b) => a - b);
  const use = {
    promptTokens: mean(cases.map((one) => one.promptTokens)),
    answerTokens: mean(cases.map((one) => one.answerTokens)),
  };
  return {
    name,
    kind,
    spec: contender.kind === "file" ? contender.path : `${contender.url}#${contender.model}`,
    score: result.score!,
    cases: result.cases,
    unscored: result.unscored.length,
    ...(first.contender === contender ? {} : optional("difference", differenceOf(cases, first.cases))),
    ...(result.worstTag ? { worstTag: { tag: result.worstTag.tag, mean: result.worstTag.mean } } : {}),
    ...optional("judge", judge),
    latencyMs: timed.length === 0 ? null : { median: quantile(timed, 0.5), p95: quantile(timed, 0.95) },
    firstTextMs: begun.length === 0 ? null : quantile(begun, 0.5),
    ...use,
    costPer1000: tariff === undefined ? null : 1000 * costOf(tariff, { ...use, seconds: mean(timed) / 1000 }),
    integration,
    isOnFront: false,
  };
}

/** Paired: what is hard for both cancels. */
function differenceOf(ours: readonly ComparedCase[], theirs: readonly ComparedCase[]): Interval | undefined {
  const differences = ours.flatMap(({ score }, index) => {
    const other = theirs[index]!.score;
    return score === null || other === null ? [] : [score - other];
  });
  return differences.length === 0 ? undefined : boundedMeanInterval(differences, { low: -1, high: 1 });
}

function beats(a: ComparedContender, b: ComparedContender, by: Comparison["frontBy"]): boolean {
  const priceOf = (one: ComparedContender): number =>
    by === "cost" ? one.costPer1000! : (one.latencyMs?.median ?? Infinity);
  const isAsGood = a.score.mean >= b.score.mean && priceOf(a) <= priceOf(b);
  return isAsGood && (a.score.mean > b.score.mean || priceOf(a) < priceOf(b));
}

function notesOf(
  contenders: readonly ComparedContender[],
  volume: number | undefined,
  reference: number | null,
): string[] {
  const judges = [...new Set(contenders.flatMap(({ judge }) => judge?.judges ?? []))];
  return [
    ...(judges.length > 0 ? [`Answers were scored by a model: ${judges.join(", ")}`] : []),
    ...contenders
      .filter(({ unscored }) => unscored > 0)
      .map(({ name, unscored }) => `${unscored} answers of ${name} could not be scored and count for neither side`),
    ...(volume !== undefined && reference === null
      ? [`No return is reckoned: ${contenders[0]!.name} has no price`]
      : []),
    ...(contenders.some(({ kind }) => kind === "file")
      ? ["Latency of files is that of this machine, one request at a time, weights rearranged for speed as servers do"]
      : []),
  ];
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
}

/** @param sorted ascending, at least one */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
}
