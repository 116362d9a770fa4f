// The student's part: it learns from what its teacher has left on disk, and is written. The run itself is `train`'s, so it
// goes on from a checkpoint to the same bits.
import { rm } from "node:fs/promises";
import { join } from "node:path";

import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { type LlamaShape, llamaShape, llamaTensors, outputName } from "../../graph/llama.js";
import { type ParameterPlan, readParameters, writtenParameters } from "../../graph/parameters.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { saveModel } from "../../model/save.js";
import { physicalCores } from "../../native/cores.js";
import { loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { CpuBackend } from "../../native/matmul.js";
import { ThreadPool } from "../../native/thread-pool.js";
import { sha256, sha256File } from "../../support/files.js";
import { buildStep } from "../../train/memory.js";
import { type NewModel, initializeParameters, newMetadata, newShape } from "../../train/new-model.js";
import { DataOrder } from "../../train/pack.js";
import { CHECKPOINT_NAME, type RunOutcome } from "../../train/run.js";
import { type TrainSettings, resolveBatch, resolveSettings } from "../../train/settings.js";
import { FILE_TYPES } from "../../train/file-types.js";
import {
  BEST_NAME,
  type LearnedModel,
  stepSettings,
  takeBest,
  trained,
  vocabularySize,
} from "../../train/train.job.js";
import { ListedHead } from "./listed-head.js";
import { STUDENT_NOW } from "./on-policy.js";
import { processorSeconds } from "./processor-seconds.js";
import type { DistillRequest, DistillSettings } from "./settings.js";
import { type TaughtFile, type TaughtSequence, TaughtText } from "./taught-text.js";
import { teacherObjective } from "./teacher-objective.js";

export interface DistillJobInput {
  request: DistillRequest;
  settings: DistillSettings;
  folder: string;
  files: readonly TaughtFile[];
  /** GGUF file of the student; or, with `shape`, of the vocabulary. */
  model: string;
  shape?: NewModel | undefined;
  /** The step after which to leave off for now; by default the last. */
  until?: number | undefined;
}

export interface DistillJobOutput extends RunOutcome, LearnedModel {
  /** False when it has left off and not written its output. */
  isDone: boolean;
  processorSeconds: number;
}

/** Validations in a row that a guard lets pass. */
const GUARD_PATIENCE = 2;
/** A student that knows something already learns with smaller steps than a new one, and larger ones than one that is finished. */
const RATE_OF_CUT = 5e-4;

/** Of no use to a run that is done. */
const LEFTOVERS = [CHECKPOINT_NAME, BEST_NAME, STUDENT_NOW];

/** Runs in a child process. */
export async function run(input: DistillJobInput, context: JobContext): Promise<DistillJobOutput> {
  const { request, settings: distill, folder, shape: newModel } = input;
  const engine = loadEngine();
  await using source = await openModel(input.model);
  const shape = newModel ? newShape(newModel, vocabularySize(source)) : llamaShape(source);
  using text = await OpenText.open(input.files);
  const { settings, data } = planRun(input, text, source);

  using threadPool = ThreadPool.create(engine, settings.threads);
  using backend = CpuBackend.create(engine, settings.threads, threadPool);
  const frozen = distill.freezeEmbeddings ? embeddingsOf(source) : undefined;
  const listed = frozen && ListedHead.of(text.train, shape.vocabulary);
  const head = listed && { listed, width: shape.width, type: settings.products };
  const hidden = distill.hidden > 0 ? { weight: distill.hidden, width: shape.width } : undefined;
  const objective = teacherObjective({ ...distill, hidden, head });
  const stepped = { ...stepSettings(settings), parameters: frozen && withFrozen(shape, frozen) };
  using step = buildStep(backend, shape, stepped, process.availableMemory(), objective);
  if (newModel) initializeParameters(step.store, step.parameters, shape.layers, settings.seed);
  else await readParameters(step.store, step.parameters, source);
  await listed?.fill(step.store, source.tensors.get(outputName(shape))!);
  const metadata = newModel ? newMetadata(shape, source.metadata, settings.contextLength) : source.metadata.clone();
  const written = (type: "f32" | "f16" | "bf16") => ({
    metadata: metadata.set("general.file_type", "uint32", FILE_TYPES[type]),
    tensors: writtenParameters(step.store, step.parameters, type),
  });
  const best = join(folder, BEST_NAME);
  const guard = { sequences: text.guard, tolerance: distill.guardTolerance, patience: GUARD_PATIENCE };
  const outcome = await trained(
    {
      step,
      settings,
      data,
      validation: text.validation,
      guard: text.guard.length > 0 ? guard : undefined,
      until: input.until,
      folder,
      identity: await identityOf(input, settings, shape, text),
      keepBest: () => saveModel(written("f32"), best).then(() => undefined),
    },
    context,
  );
  const isDone = outcome.state.step >= settings.steps || outcome.stopped !== "finished";
  if (isDone && outcome.state.best) await takeBest(best, step);
  const file = isDone
    ? await saveModel(written(request.type ?? "f16"), request.output)
    : await saveModel(written("f32"), join(folder, STUDENT_NOW));
  if (isDone) for (const name of LEFTOVERS) await rm(join(folder, name), { force: true });
  return {
    ...outcome,
    ...file,
    isDone,
    lines: outcome.lines,
    settings,
    architecture: shape.architecture,
    parameters: step.parameterCount,
    memoryBytes: step.memoryBytesTaken,
    stepsPerEpoch: data.stepsPerEpoch,
    processorSeconds: processorSeconds(),
  };
}

/** A student's parameters of which some stay as they are, in the type that they are kept in. */
function withFrozen(shape: LlamaShape, frozen: ReadonlyMap<string, GgmlType>): ParameterPlan {
  return {
    tensors: llamaTensors(shape).map((tensor) => ({ ...tensor, type: frozen.get(tensor.name) })),
    isTrained: (name) => !frozen.has(name),
  };
}

/** Embedding and output matrix, with their types in the file. */
function embeddingsOf({ tensors }: Model): Map<string, GgmlType> {
  return new Map(
    ["token_embd.weight", "output.weight"].flatMap((name) => {
      const tensor = tensors.get(name);
      return tensor ? [[name, tensor.type] as const] : [];
    }),
  );
}

/** All taught text of a run. */
class OpenText implements Disposable {
  readonly #texts: TaughtText[];
  readonly #files: readonly TaughtFile[];
  readonly train: TaughtSequence[] = [];
  readonly validation: TaughtSequence[] = [];
  readonly guard: TaughtSequence[] = [];

  private constructor(texts: TaughtText[], files: readonly TaughtFile[]) {
    this.#texts = texts;
    this.#files = files;
    texts.forEach((text, i) => this[files[i]!.use].push(...text.sequences()));
  }

  static async open(files: readonly TaughtFile[]): Promise<OpenText> {
    const texts: TaughtText[] = [];
    for (const { path } of files) texts.push(await TaughtText.open(path));
    return new OpenText(texts, files);
  }

  /** What the texts were made from, but for those of one use. */
  identities(without?: TaughtFile["use"]): string[] {
    return this.#texts.filter((_, i) => this.#files[i]!.use !== without).map(({ facts }) => facts.identity);
  }

  [Symbol.dispose](): void {
    for (const text of this.#texts) text[Symbol.dispose]();
  }
}

function planRun({ request, shape }: DistillJobInput, text: OpenText, { spec }: Model) {
  const batch = resolveBatch(request, spec.contextLength);
  const data = new DataOrder(text.train, batch.batch, request.seed ?? 0);
  const rate = request.rate ?? (shape ? undefined : RATE_OF_CUT);
  const model = shape ? undefined : "given";
  const settings = resolveSettings({ ...request, rate, model }, batch, {
    stepsPerEpoch: data.stepsPerEpoch,
    validationSequences: text.validation.length + text.guard.length,
    threads: request.threads ?? physicalCores(),
  });
  return { settings, data };
}

async function identityOf(
  { model, settings: distill, request }: DistillJobInput,
  settings: TrainSettings,
  shape: LlamaShape,
  text: OpenText,
): Promise<string> {
  const texts = request.onPolicy === undefined ? text.identities() : [request.onPolicy, ...text.identities("train")];
  return sha256(JSON.stringify([settings, distill, shape, await sha256File(model), texts]));
}
