// The child process's part of training: reads text and model, builds the step, runs it, and writes the model.
import { rm } from "node:fs/promises";
import { join } from "node:path";

import { PareError } from "../errors.js";
import type { Metadata } from "../formats/gguf/metadata.js";
import { llamaShape } from "../graph/llama.js";
import { readParameters, writtenParameters } from "../graph/parameters.js";
import type { Sequence } from "../graph/token-batch.js";
import type { Model } from "../model/model.js";
import { openModel } from "../model/open.js";
import { saveModel } from "../model/save.js";
import { physicalCores } from "../native/cores.js";
import { type Engine, loadEngine } from "../native/engine.js";
import type { JobContext } from "../native/isolate.js";
import { LlamaModel } from "../native/llama-model.js";
import { CpuBackend } from "../native/matmul.js";
import { ThreadPool } from "../native/thread-pool.js";
import { sha256, sha256File } from "../support/files.js";
import { type Document, tokenizeExamples } from "./documents.js";
import { readExamples } from "./examples.js";
import { FILE_TYPES } from "./file-types.js";
import { buildStep } from "./memory.js";
import { initializeParameters, newMetadata, newShape } from "./new-model.js";
import {
  DataOrder,
  countingTargets,
  packSequences,
  packValidation,
  requireSequence,
  splitValidation,
  targetsMaxOf,
} from "./pack.js";
import { CHECKPOINT_NAME, type RunOutcome, runTraining } from "./run.js";
import { type TrainRequest, type TrainSettings, resolveBatch, resolveSettings } from "./settings.js";
import { DivergedError, type TrainingStep } from "./training-step.js";

/** What the child is asked to do: the request with its folder named. */
export type TrainJobInput = TrainRequest & { run: string };

/** The model that came of a run. */
export interface LearnedModel {
  settings: TrainSettings;
  architecture: string;
  parameters: number;
  /** Of weights, gradients, optimizer states and intermediate results. */
  memoryBytes: number;
  /** Of the file, as is the hash. */
  sizeBytes: number;
  sha256: string;
  stepsPerEpoch: number;
}

/** What the child did. */
export interface TrainJobOutput extends Omit<RunOutcome, "lines">, LearnedModel {
  validationTargets: number;
  lossFirst?: number | undefined;
  lossLast?: number | undefined;
}

export const BEST_NAME = "best.gguf";

/** Runs in a child process. */
export async function run(request: TrainJobInput, context: JobContext): Promise<TrainJobOutput> {
  const engine = loadEngine();
  await using source = await openModel((request.model ?? request.vocabulary)!);
  const shape = request.model === undefined ? newShape(request.shape!, vocabularySize(source)) : llamaShape(source);
  const { data, validation, settings, targetsMax, hashes } = await prepareData(engine, request, source);

  using threadPool = ThreadPool.create(engine, settings.threads);
  using backend = CpuBackend.create(engine, settings.threads, threadPool);
  using step = buildStep(backend, shape, { ...stepSettings(settings), targetsMax });
  if (request.model === undefined) initializeParameters(step.store, step.parameters, shape.layers, settings.seed);
  else await readParameters(step.store, step.parameters, source);
  const metadata =
    request.model === undefined
      ? newMetadata(shape, source.metadata, settings.contextLength)
      : goneOnMetadata(source, settings.contextLength);
  const written = (type: "f32" | "f16" | "bf16") => ({
    metadata: metadata.set("general.file_type", "uint32", FILE_TYPES[type]),
    tensors: writtenParameters(step.store, step.parameters, type),
  });
  const best = join(request.run, BEST_NAME);
  const outcome = await trained(
    {
      step,
      settings,
      data,
      validation,
      folder: request.run,
      identity: sha256(JSON.stringify([settings, shape, await sha256File(source.path!), hashes])),
      keepBest: () => saveModel(written("f32"), best).then(() => undefined),
    },
    context,
  );
  if (outcome.state.best) await takeBest(best, step);
  const file = await saveModel(written(request.type ?? "f16"), request.output);
  for (const name of [CHECKPOINT_NAME, BEST_NAME]) await rm(join(request.run, name), { force: true });
  return outputOf(outcome, {
    ...file,
    settings,
    architecture: shape.architecture,
    parameters: step.parameterCount,
    memoryBytes: step.memoryBytesTaken,
    stepsPerEpoch: data.stepsPerEpoch,
    validationTargets: validationTargets(validation),
  });
}

/** A model that went on with longer sequences is one for those. */
function goneOnMetadata({ metadata, spec }: Model, contextLength: number): Metadata {
  const copy = metadata.clone();
  return contextLength > spec.contextLength
    ? copy.set(`${spec.architecture}.context_length`, "uint32", contextLength)
    : copy;
}

export function vocabularySize({ metadata, spec }: Model): number {
  return metadata.array("tokenizer.ggml.tokens")?.length ?? spec.vocabularySize;
}

/** Text to sequences in their order, and the settings that follow from how many there are. */
export async function prepareData(engine: Engine, request: TrainJobInput, { spec }: Model) {
  const documents = await readDocuments(engine, request);
  const batch = resolveBatch(request, request.model === undefined ? 0 : spec.contextLength);
  requireSequence(documents.train, batch.contextLength);
  const sequences = packSequences(documents.train, batch.contextLength);
  const data = new DataOrder(sequences, batch.batch, request.seed ?? 0);
  const validation = packValidation(documents.validation, batch.contextLength);
  const settings = resolveSettings(request, batch, {
    stepsPerEpoch: data.stepsPerEpoch,
    validationSequences: validation.length,
    threads: request.threads ?? physicalCores(),
  });
  const targetsMax = targetsMaxOf([...sequences, ...validation], batch.microBatch);
  return { data, validation, settings, targetsMax, hashes: hashOf([documents.train, documents.validation]) };
}

async function readDocuments(engine: Engine, request: TrainJobInput) {
  using vocabulary = LlamaModel.load(engine, (request.model ?? request.vocabulary)!, { vocabOnly: true });
  const documents = tokenizeExamples(vocabulary, await readExamples(request.texts));
  if (request.validation === undefined) return splitValidation(documents, request.validationShare ?? 0.05);
  return { train: documents, validation: tokenizeExamples(vocabulary, await readExamples(request.validation)) };
}

export function stepSettings({
  microBatch,
  contextLength,
  recompute,
  products,
  optimizer,
  clipNorm,
  weightDecay,
}: TrainSettings) {
  const optimizerSettings = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay };
  return { microBatch, contextLength, checkpoint: recompute, products, optimizer, clipNorm, optimizerSettings };
}

export async function trained(plan: Parameters<typeof runTraining>[0], context: JobContext): Promise<RunOutcome> {
  try {
    return await runTraining(plan, {
      onMetrics: (metrics) => context.emit(metrics),
      onStep: async (done, total, result) => {
        context.progress({ stage: "training", done, total, unit: "steps", result });
        await context.flush();
      },
    });
  } catch (error) {
    if (!(error instanceof DivergedError)) throw error;
    const hint = `${error.hint}; the last good checkpoint stays in "${plan.folder}"`;
    throw new PareError(error.message, { hint, cause: error });
  }
}

export async function takeBest(path: string, step: TrainingStep): Promise<void> {
  await using model = await openModel(path);
  await readParameters(step.store, step.parameters, model);
}

/** Targets that a validation looks at. */
export function validationTargets(validation: readonly Sequence[]): number {
  return validation.reduce((sum, sequence) => sum + countingTargets(sequence), 0);
}

export function outputOf(
  { lines, ...outcome }: RunOutcome,
  facts: Omit<TrainJobOutput, keyof RunOutcome | "lossFirst" | "lossLast">,
): TrainJobOutput {
  const losses = lines.flatMap((line) => ("loss" in line ? [line.loss] : []));
  return { ...outcome, ...facts, lossFirst: losses[0], lossLast: losses.at(-1) };
}

/** One hash for all that is learned from and validated on. */
function hashOf(sets: readonly (readonly Document[])[]): string[] {
  return sets.map((documents) =>
    sha256(documents.map(({ tokens, counts }) => sha256(bytes(tokens)) + sha256(counts)).join()),
  );
}

function bytes(tokens: Int32Array): Uint8Array {
  return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}
