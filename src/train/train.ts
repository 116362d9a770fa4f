// Training: text in, a GGUF file out. The engine runs in a child process (`train.job.ts`); what comes back are losses.
import { stat } from "node:fs/promises";
import { join } from "node:path";

import { PareError } from "../errors.js";
import { isolate } from "../native/isolate.js";
import type { Backend } from "../native/platform.js";
import { AtomicFile, refuseReplacing } from "../support/files.js";
import { FolderLock } from "../support/folder-lock.js";
import type { RunOptions } from "../support/progress.js";
import type { Metrics } from "./metrics.js";
import { METRICS_NAME } from "./run.js";
import { type TrainRequest, type TrainSettings, checkTrainRequest } from "./settings.js";
import type { TrainJobInput, TrainJobOutput } from "./train.job.js";

export interface TrainOptions extends RunOptions {
  /** Told of every step and validation as it happens. */
  onMetrics?: ((metrics: Metrics) => void) | undefined;
  backend?: Backend | undefined;
}

/** How a run ended. */
export interface TrainResult {
  output: string;
  sizeBytes: number;
  sha256: string;
  architecture: string;
  /** Of the model. */
  parameters: number;
  settings: TrainSettings;
  /** Steps taken in all. */
  steps: number;
  /** How often the text was seen. */
  epochs: number;
  /** The step that it went on from, 0 for a new run. */
  resumedFrom: number;
  stopped: "finished" | "no longer better";
  /** Mean cross-entropy in nats per token of the first and the last step's own batch. */
  loss: { first: number; last: number } | null;
  /** The lowest validation loss, whose weights were written; null without validation. */
  validation: { step: number; loss: number; perplexity: number; tokens: number } | null;
  /** Of the steps taken now. */
  seconds: number;
  tokensPerSecond: number;
  /** Weights, gradients, optimizer states and intermediate results. */
  memoryBytes: number;
  /** JSON Lines, one for each step and validation. */
  metrics: string;
}

/**
 * Trains a model: one that goes on from a GGUF file, or a new one with the vocabulary of a GGUF file. Writes the weights of
 * the best validation, or the last ones where there is none, as a GGUF file that llama.cpp runs.
 *
 * A run that was stopped goes on from its last checkpoint when it is asked for again with the same request, to the same
 * bits.
 *
 * @throws {UsageError} when the request can't be meant
 * @throws {FormatError} when the model is of a family that has no training graph, or a file can't be read
 * @throws {PareError} when the text is shorter than a sequence, or loss or gradients are no longer finite
 * @throws {ResourceError} when memory can't hold a step, with the settings that would fit
 * @example
 * await train({ model: "model.gguf", texts: ["text.txt"], output: "trained.gguf", steps: 100 });
 */
export async function train(request: TrainRequest, options: TrainOptions = {}): Promise<TrainResult> {
  const { onMetrics, backend, ...runOptions } = options;
  checkTrainRequest(request);
  const run = request.run ?? `${request.output}.run`;
  await requireOutput(request);
  await using _lock = await FolderLock.acquire(join(run, "lock"), run);
  const done = await isolate<TrainJobInput, TrainJobOutput>(
    "train/train.job",
    { ...request, run },
    {
      ...runOptions,
      what: "training",
      ...(backend && { backend }),
      onEvent: (event) => onMetrics?.(event as Metrics),
    },
  );
  return resultOf(done, request.output, join(run, METRICS_NAME));
}

/** Tells before the long run that its result could not be written. */
export async function requireOutput({ output, model, vocabulary, texts, validation }: TrainRequest): Promise<void> {
  const sources = [model, vocabulary, ...texts, ...(validation ?? [])].filter((path) => path !== undefined);
  await refuseReplacing(output, sources);
  if ((await stat(output).catch(() => undefined))?.isDirectory())
    throw new PareError(`Cannot write "${output}": a folder stands there`, { hint: "Choose another output path" });
  await using _probe = await AtomicFile.create(output);
}

export function resultOf(done: TrainJobOutput, output: string, metrics: string): TrainResult {
  const { state, settings, lossFirst, lossLast, seconds, targets } = done;
  const { best } = state;
  return {
    output,
    sizeBytes: done.sizeBytes,
    sha256: done.sha256,
    architecture: done.architecture,
    parameters: done.parameters,
    settings,
    steps: state.step,
    epochs: state.step / done.stepsPerEpoch,
    resumedFrom: done.resumedFrom,
    stopped: done.stopped === "no longer better" ? done.stopped : "finished",
    loss: lossFirst === undefined || lossLast === undefined ? null : { first: lossFirst, last: lossLast },
    validation: best
      ? { step: best.step, loss: best.loss, perplexity: Math.exp(best.loss), tokens: done.validationTargets }
      : null,
    seconds,
    tokensPerSecond: targets / seconds,
    memoryBytes: done.memoryBytes,
    metrics,
  };
}
