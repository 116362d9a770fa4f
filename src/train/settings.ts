// The settings of a run: what the user gave, filled up with defaults that depend on the model and on how much text there is.
import { UsageError } from "../errors.js";
import type { ProductType } from "../graph/graph.js";
import type { NewModel } from "./new-model.js";
import type { OptimizerName } from "./optimizer.js";
import type { ScheduleSettings } from "./schedule.js";

/** What `train` is asked for. */
export interface TrainRequest {
  /** Files to learn from: `.jsonl` examples, anything else as plain text. */
  texts: readonly string[];
  /** GGUF file to write. */
  output: string;
  /** GGUF file to go on from. Either this or `vocabulary` with `shape`. */
  model?: string | undefined;
  /** GGUF file whose tokenizer a new model takes. */
  vocabulary?: string | undefined;
  /** The new model. */
  shape?: NewModel | undefined;
  /** Type of the written matrices; f16 by default. */
  type?: "f32" | "f16" | "bf16" | undefined;
  /** Folder of checkpoints and metrics; by default the output with `.run` at its end. */
  run?: string | undefined;
  /** Files to validate on. */
  validation?: readonly string[] | undefined;
  /** Without such files: the share of the text, from its end, that is kept for validation; 0.05 by default, 0 for none. */
  validationShare?: number | undefined;
  /** Tokens of a sequence; by default 256, or what the model was trained for if that is less. */
  contextLength?: number | undefined;
  /** Sequences of a step; 8 by default. */
  batch?: number | undefined;
  /** Sequences computed at once; by default what makes some 1024 tokens. */
  microBatch?: number | undefined;
  /** Steps of the run; by default what `epochs` takes. */
  steps?: number | undefined;
  /** How often the text is seen; 1 by default. */
  epochs?: number | undefined;
  /** Highest learning rate; by default 1e-3 for a new model, 1e-4 for one that goes on. */
  rate?: number | undefined;
  schedule?: ScheduleSettings["kind"] | undefined;
  /** By default a twentieth of the steps, 100 at most. */
  warmupSteps?: number | undefined;
  optimizer?: OptimizerName | undefined;
  /** 0.1 by default. */
  weightDecay?: number | undefined;
  /** Largest norm of the gradients; 1 by default. */
  clipNorm?: number | undefined;
  /** Type in which weights enter products; f32 by default. */
  products?: ProductType | undefined;
  /** Compute each layer again in the backward pass instead of keeping what it computed. */
  recompute?: boolean | undefined;
  /** Steps between validations; by default a twentieth of the run, or more where validating would take long. */
  validateEvery?: number | undefined;
  /** Validations without a better loss after which the run ends; by default it does not. */
  patience?: number | undefined;
  /** Steps between checkpoints; by default those between validations. */
  saveEvery?: number | undefined;
  /** 0 by default. */
  seed?: number | undefined;
  /** Physical cores by default. */
  threads?: number | undefined;
}

/** The settings of a run that decide its numbers. */
export interface TrainSettings {
  contextLength: number;
  batch: number;
  microBatch: number;
  steps: number;
  schedule: ScheduleSettings;
  optimizer: OptimizerName;
  weightDecay: number;
  clipNorm: number;
  products: ProductType;
  recompute: boolean;
  validateEvery: number;
  patience?: number | undefined;
  saveEvery: number;
  seed: number;
  threads: number;
}

/** Tokens at once from which ggml's products are near their best. */
const MICRO_BATCH_TOKENS = 1024;

/**
 * Refuses what can't be meant, before anything is read.
 *
 * @throws {UsageError} naming the setting
 */
export function checkTrainRequest(request: TrainRequest): void {
  if (request.texts.length === 0)
    throw new UsageError("No text to train on is given", { hint: "Name one or more files" });
  const isNew = request.vocabulary !== undefined && request.shape !== undefined;
  if ((request.model !== undefined) === isNew || (request.vocabulary === undefined) !== (request.shape === undefined)) {
    throw new UsageError("Training needs either a model to go on from, or a vocabulary with the shape of a new model", {
      hint: "Give --model FILE, or --vocabulary FILE with --layers, --width and --heads",
    });
  }
  if (request.shape) checkShape(request.shape);
  checkRun(request);
}

/** @throws {UsageError} naming what of a new model is not said */
export function checkShape(shape: NewModel): void {
  for (const [name, count] of Object.entries(shape)) {
    if (typeof count === "number" && !(count >= 1))
      throw new UsageError(`A new model needs its ${name}`, { hint: "Give --layers, --width and --heads" });
  }
}

/** The part of a request that says how a run goes. */
export type RunRequest = Omit<TrainRequest, "texts" | "model" | "vocabulary" | "shape">;

/** @throws {UsageError} naming the setting that can't be meant */
export function checkRun(request: RunRequest): void {
  const { contextLength, batch, microBatch, steps, validateEvery, patience, saveEvery, threads } = request;
  const counts = { contextLength, batch, microBatch, steps, validateEvery, patience, saveEvery, threads };
  for (const [name, count] of Object.entries(counts)) {
    if (count !== undefined && !(Number.isInteger(count) && count >= (name === "contextLength" ? 2 : 1)))
      throw new UsageError(`${name} is ${count}, a whole number above 0 is wanted`);
  }
  const { rate, epochs, clipNorm } = request;
  for (const [name, value] of Object.entries({ rate, epochs, clipNorm }))
    if (value !== undefined && !(value > 0)) throw new UsageError(`${name} is ${value}, a number above 0 is wanted`);
  const { validationShare = 0 } = request;
  if (!(validationShare >= 0 && validationShare < 1))
    throw new UsageError(`validationShare is ${validationShare}, a share below 1 is wanted`);
}

/**
 * Fills up the settings that don't depend on how much text there is.
 *
 * @param contextLengthTrained of the model that goes on; 0 where nothing is known
 */
export function resolveBatch(request: RunRequest, contextLengthTrained: number) {
  const contextLength = request.contextLength ?? Math.min(256, contextLengthTrained || 256);
  const batch = request.batch ?? 8;
  const microBatch = Math.min(batch, request.microBatch ?? Math.max(1, Math.floor(MICRO_BATCH_TOKENS / contextLength)));
  return { contextLength, batch, microBatch };
}

/**
 * All settings of a run.
 *
 * @param validationSequences what a validation looks at
 */
export function resolveSettings(
  request: RunRequest & Pick<TrainRequest, "model">,
  batch: ReturnType<typeof resolveBatch>,
  {
    stepsPerEpoch,
    validationSequences,
    threads,
  }: { stepsPerEpoch: number; validationSequences: number; threads: number },
): TrainSettings {
  const steps = request.steps ?? Math.max(1, Math.round((request.epochs ?? 1) * stepsPerEpoch));
  // A twentieth of the run, but no more to validate than to learn from in between: that is a quarter of the time at most.
  const validateEvery =
    request.validateEvery ?? Math.max(1, Math.ceil(steps / 20), Math.ceil(validationSequences / batch.batch));
  const kind = request.schedule ?? "cosine";
  return {
    ...batch,
    steps,
    schedule: {
      kind,
      rate: request.rate ?? (request.model === undefined ? 1e-3 : 1e-4),
      steps,
      warmupSteps: request.warmupSteps ?? Math.min(100, Math.ceil(steps / 20)),
      finalShare: kind === "cosine" ? 0.1 : 0,
      decayShare: 0.2,
    },
    optimizer: request.optimizer ?? "adamw",
    weightDecay: request.weightDecay ?? 0.1,
    clipNorm: request.clipNorm ?? 1,
    products: request.products ?? "f32",
    recompute: request.recompute ?? false,
    validateEvery,
    patience: request.patience,
    saveEvery: request.saveEvery ?? validateEvery,
    seed: request.seed ?? 0,
    threads,
  };
}
