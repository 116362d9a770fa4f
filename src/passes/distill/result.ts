// How a distillation ended, from what its children report.
import { join } from "node:path";

import { METRICS_NAME, type StopReason } from "../../train/run.js";
import type { TrainSettings } from "../../train/settings.js";
import type { DistillJobOutput } from "./distill.job.js";
import { type LossPoint, type TokenEstimate, estimateTokens } from "./estimate-tokens.js";
import type { LayerChoice } from "./cut-layers.js";
import type { Cost } from "./processor-seconds.js";
import type { DistillRequest, DistillSettings } from "./settings.js";
import type { StudentOutput } from "./student.job.js";
import type { TaughtFile } from "./taught-text.js";
import type { TeachOutput } from "./teach.job.js";

export interface DistillResult {
  output: string;
  sizeBytes: number;
  sha256: string;
  architecture: string;
  /** Of the student. */
  parameters: number;
  /** A file, or an address, which has no hash. */
  teacher: { path: string; sha256: string | null };
  /** Where the student came from; of one that was cut, the layers kept and every choice with its loss before learning. */
  student: { origin: "given" | "cut" | "new"; layers: number[] | null; tried: LayerChoice[] | null };
  settings: TrainSettings & DistillSettings;
  /** What the teacher left on disk. */
  taught: { targets: number; sizeBytes: number; restMean: number; files: TaughtFile[] };
  steps: number;
  /** How often the text was seen. */
  epochs: number;
  /** Tokens learned in all. */
  tokens: number;
  resumedFrom: number;
  stopped: StopReason;
  /** The objective on the first and the last step's own batch, in nats per token. */
  loss: { first: number; last: number } | null;
  /** On text that was not learned; of the best validation, whose weights were written. */
  validation: {
    step: number;
    /** Cross-entropy in nats per token. */
    loss: number;
    perplexity: number;
    /** From the teacher, in nats per token. */
    divergence: number | null;
    tokens: number;
    /** The student's loss before it learned. */
    lossBefore: number;
    /** The teacher's loss on the same text; null where logits were divided by a temperature. */
    lossOfTeacher: number | null;
    /** Share of the way from the student's first loss to the teacher's that it has come. */
    gapClosed: number | null;
  } | null;
  /** Divergence from the teacher on the guard's text. */
  guard: { before: number; best: number; last: number; tokens: number } | null;
  bar: { loss: number; isReached: boolean; estimate: TokenEstimate | null } | null;
  cost: { teaching: Cost; cutting: Cost | null; learning: Cost };
  tokensPerSecond: number;
  memoryBytes: number;
  /** JSON Lines, one for each step and validation. */
  metrics: string;
  warnings: string[];
}

export interface Outcome {
  request: DistillRequest;
  folder: string;
  settings: DistillSettings;
  taught: TeachOutput;
  cut: StudentOutput | undefined;
  learned: DistillJobOutput;
  warnings: string[];
}

export function resultOf(outcome: Outcome): DistillResult {
  const { request, folder, settings, taught, cut, learned, warnings } = outcome;
  const losses = learned.lines.flatMap((line) => ("loss" in line ? [line] : []));
  const tokens = losses.reduce((sum, { targets }) => sum + targets, 0);
  const validation = validationOf(outcome);
  return {
    output: request.output,
    sizeBytes: learned.sizeBytes,
    sha256: learned.sha256,
    architecture: learned.architecture,
    parameters: learned.parameters,
    teacher: { path: request.teacher, sha256: taught.teacher },
    student: {
      origin: cut ? "cut" : request.shape ? "new" : "given",
      layers: cut?.layers ?? null,
      tried: cut?.tried ?? null,
    },
    settings: { ...learned.settings, ...settings },
    taught: summaryOf(taught.files),
    steps: learned.state.step,
    epochs: learned.state.step / learned.stepsPerEpoch,
    tokens,
    resumedFrom: learned.resumedFrom,
    stopped: learned.stopped,
    loss: losses.length === 0 ? null : { first: losses[0]!.loss, last: losses.at(-1)!.loss },
    validation,
    guard: guardOf(outcome),
    bar: request.bar === undefined || !validation ? null : barOf(request.bar, validation.loss, pointsOf(learned)),
    cost: { teaching: costOf(taught), cutting: cut ? costOf(cut) : null, learning: costOf(learned) },
    tokensPerSecond: learned.targets / learned.seconds,
    memoryBytes: learned.memoryBytes,
    metrics: join(folder, METRICS_NAME),
    warnings: [...warnings, ...(taught.warnings ?? [])],
  };
}

function costOf({ seconds, processorSeconds }: Cost): Cost {
  return { seconds, processorSeconds };
}

function summaryOf(files: TaughtFile[]): DistillResult["taught"] {
  const { targets, restMean } = meansOf(files.filter(({ use }) => use === "train"));
  return { targets, sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0), restMean, files };
}

function meansOf(files: readonly TaughtFile[]): { targets: number; restMean: number; loss: number } {
  const targets = files.reduce((sum, file) => sum + file.targets, 0);
  const mean = (of: (file: TaughtFile) => number): number =>
    files.reduce((sum, file) => sum + of(file) * file.targets, 0) / targets;
  return { targets, restMean: mean(({ restMean }) => restMean), loss: mean(({ loss }) => loss) };
}

function validationOf({ learned, taught, settings }: Outcome): DistillResult["validation"] {
  const { best } = learned.state;
  const first = learned.lines.find((line) => "validationLoss" in line);
  if (!best || !first) return null;
  const teacher = meansOf(taught.files.filter(({ use }) => use === "validation"));
  const lossOfTeacher = settings.temperature === 1 ? teacher.loss : null;
  return {
    step: best.step,
    loss: best.loss,
    perplexity: Math.exp(best.loss),
    divergence: best.divergence ?? null,
    tokens: teacher.targets,
    lossBefore: first.validationLoss,
    lossOfTeacher,
    gapClosed:
      lossOfTeacher === null ? null : (first.validationLoss - best.loss) / (first.validationLoss - lossOfTeacher),
  };
}

function guardOf({ learned, taught }: Outcome): DistillResult["guard"] {
  const seen = learned.lines.flatMap((line) => ("validationLoss" in line ? [line.guardDivergence] : []));
  const { best } = learned.state;
  if (best?.guardDivergence === undefined) return null;
  const { targets: tokens } = meansOf(taught.files.filter(({ use }) => use === "guard"));
  return { before: seen[0]!, best: best.guardDivergence, last: seen.at(-1)!, tokens };
}

/** Validations by the tokens learned until then. */
function pointsOf({ lines }: DistillJobOutput): LossPoint[] {
  let tokens = 0;
  return lines.flatMap((line) => {
    if ("validationLoss" in line) return [{ tokens, loss: line.validationLoss }];
    tokens += line.targets;
    return [];
  });
}

function barOf(bar: number, loss: number, points: readonly LossPoint[]): DistillResult["bar"] {
  return { loss: bar, isReached: loss <= bar, estimate: estimateTokens(points, bar) ?? null };
}
