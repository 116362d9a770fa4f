// A run: step after step with validation, checkpoints and metrics, until it is done or no longer gets better. It knows
// nothing of files of text or of models; those are its caller's.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import type { Sequence } from "../graph/token-batch.js";
import { type RunState, readCheckpoint, writeCheckpoint } from "./checkpoint.js";
import { lossLine } from "./loss-line.js";
import { type Metrics, MetricsFile, type StepMetrics } from "./metrics.js";
import type { DataOrder } from "./pack.js";
import { learningRate } from "./schedule.js";
import type { TrainSettings } from "./settings.js";
import type { TrainingStep } from "./training-step.js";

export interface RunPlan {
  step: TrainingStep;
  settings: TrainSettings;
  data: DataOrder;
  /** Empty for no validation. */
  validation: readonly Sequence[];
  /** Text of another kind, on which the objective's divergence must not grow. */
  guard?: Guard | undefined;
  /** The step after which to leave off for now; by default the last. */
  until?: number | undefined;
  /** Where checkpoints and metrics lie. */
  folder: string;
  /** Changes whenever anything changes that the numbers depend on. */
  identity: string;
  /** Keeps the weights as the best so far. */
  keepBest(): Promise<void>;
}

/** What must not get worse while something else gets better. */
export interface Guard {
  sequences: readonly Sequence[];
  /** How much above its lowest the divergence may be, as a share of it. */
  tolerance: number;
  /** Validations in a row above that after which the run ends. */
  patience: number;
}

export interface RunListener {
  onMetrics(metrics: Metrics): void;
  /** Called after each step. */
  onStep(done: number, total: number, result: string): Promise<void>;
}

export interface RunOutcome {
  state: RunState;
  /** The step that it went on from, 0 for a new run. */
  resumedFrom: number;
  lines: Metrics[];
  stopped: StopReason;
  /** Of the steps taken now. */
  seconds: number;
  targets: number;
}

export type StopReason = "finished" | "no longer better" | "worse elsewhere";

export const CHECKPOINT_NAME = "checkpoint.gguf";
export const METRICS_NAME = "metrics.jsonl";

/**
 * Trains from the last checkpoint, or from the weights that are there, to the end.
 *
 * @throws {DivergedError} when loss or gradients are no longer finite; the last checkpoint stays
 * @throws {FormatError} when the folder holds a checkpoint of another run
 */
export async function runTraining(plan: RunPlan, listener: RunListener): Promise<RunOutcome> {
  const { step: trainer, settings, validation } = plan;
  await mkdir(plan.folder, { recursive: true });
  const checkpoint = join(plan.folder, CHECKPOINT_NAME);
  // What is frozen stays as the model's file has it, and the run's identity knows that file.
  const trained = [...trainer.parameters].filter(([, { gradient }]) => gradient);
  const tensors = new Map([...trained, ...trainer.optimizer.states]);
  const found = await readCheckpoint(checkpoint, plan.identity, trainer.store, tensors);
  const state: RunState = found ?? { step: 0, validationsSinceBest: 0 };
  const resumedFrom = state.step;
  const { file, lines } = await MetricsFile.open(join(plan.folder, METRICS_NAME), state.step);
  const note = async (line: Metrics): Promise<void> => {
    lines.push(line);
    listener.onMetrics(line);
    await file.append(line);
  };
  const validate = async (): Promise<void> => {
    const { loss: validationLoss, divergence } = trainer.evaluate(validation);
    const guardDivergence = plan.guard && trainer.evaluate(plan.guard.sequences).divergence;
    await note({ step: state.step, validationLoss, divergence, guardDivergence });
    const isSafe = guardDivergence === undefined || staysWithin(plan.guard!, state, guardDivergence);
    if (isSafe && validationLoss < (state.best?.loss ?? Infinity)) {
      state.best = { step: state.step, loss: validationLoss, divergence, guardDivergence };
      state.validationsSinceBest = 0;
      await plan.keepBest();
    } else state.validationsSinceBest++;
  };
  const reasonToStop = (): StopReason | undefined => {
    if ((state.guard?.worse ?? 0) >= (plan.guard?.patience ?? Infinity)) return "worse elsewhere";
    return state.validationsSinceBest >= (settings.patience ?? Infinity) ? "no longer better" : undefined;
  };
  const save = (): Promise<void> => writeCheckpoint(checkpoint, plan.identity, state, trainer.store, tensors);

  const until = Math.min(plan.until ?? settings.steps, settings.steps);
  let targets = 0;
  const started = performance.now();
  if (!found && validation.length > 0) await validate();
  while (state.step < until && !reasonToStop()) {
    const taken = takeStep(plan, state.step + 1);
    state.step++;
    targets += taken.targets;
    await note(taken);
    const isLast = state.step === until;
    if (validation.length > 0 && (state.step === settings.steps || state.step % settings.validateEvery === 0))
      await validate();
    if (isLast || state.step % settings.saveEvery === 0) await save();
    await listener.onStep(state.step, settings.steps, lossLine(lines));
  }
  const seconds = (performance.now() - started) / 1000;
  return { state, resumedFrom, lines, stopped: reasonToStop() ?? "finished", seconds, targets };
}

/** Notes how a guarded divergence goes. @returns whether it is near its lowest */
function staysWithin({ tolerance }: Guard, state: RunState, divergence: number): boolean {
  const lowest = Math.min(divergence, state.guard?.lowest ?? Infinity);
  const isWithin = divergence <= lowest * (1 + tolerance);
  state.guard = { lowest, worse: isWithin ? 0 : (state.guard?.worse ?? 0) + 1 };
  return isWithin;
}

function takeStep({ step, settings, data }: RunPlan, number: number): StepMetrics {
  const begun = performance.now();
  const rate = learningRate(number, settings.schedule);
  const outcome = step.run(number, rate, data.at(number));
  return { step: number, ...outcome, rate, seconds: (performance.now() - begun) / 1000 };
}
