// The child process's part of learning an adapter: the model stays as it lies in its file, quantized or not, and only the
// adapter's matrices are trained; then they are written, and merged where that is asked for.
import { rm } from "node:fs/promises";
import { join } from "node:path";

import { readGguf } from "../../formats/gguf/read.js";
import { type LlamaShape, type ParameterShape, llamaShape, llamaTensors } from "../../graph/llama.js";
import { type ParameterPlan, readParameters, writtenParameters } from "../../graph/parameters.js";
import { LORA_A, adapterTensors } from "../../graph/project.js";
import type { TensorStore } from "../../graph/store.js";
import type { Tensor } from "../../graph/tensor.js";
import { type Model, elementCount } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { saveModel } from "../../model/save.js";
import { type Engine, loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { CpuBackend } from "../../native/matmul.js";
import { ThreadPool } from "../../native/thread-pool.js";
import { Random } from "../../support/random.js";
import { sha256, sha256File } from "../../support/files.js";
import { buildStep } from "../../train/memory.js";
import { CHECKPOINT_NAME } from "../../train/run.js";
import {
  BEST_NAME,
  type TrainJobOutput,
  outputOf,
  prepareData,
  stepSettings,
  trained,
  validationTargets,
} from "../../train/train.job.js";
import { type AdaptRequest, type AdapterSettings, adaptedMatrices, resolveAdapter } from "./adapt-settings.js";
import { adapterMetadata } from "./adapter-file.js";
import { type MergedFile, writeMerged } from "./write-merged.js";

/** What the child is asked to do: the request with its folder named. */
export type AdaptJobInput = AdaptRequest & { run: string };

export interface AdaptJobOutput extends TrainJobOutput {
  adapter: AdapterSettings & { matrices: number };
  merged?: MergedFile;
}

/** Runs in a child process. */
export async function run(request: AdaptJobInput, context: JobContext): Promise<AdaptJobOutput> {
  const engine = loadEngine();
  await using base = await openModel(request.model);
  const plain = llamaShape(base);
  const adapter = resolveAdapter(request, plain);
  const shape: LlamaShape = { ...plain, adapterScale: adapter.alpha / adapter.rank };
  const matrices = adaptedMatrices(shape, adapter);
  const { data, validation, settings, hashes, targetsMax } = await prepareData(engine, request, base);

  using threadPool = ThreadPool.create(engine, settings.threads);
  using backend = CpuBackend.create(engine, settings.threads, threadPool);
  const parameters = parameterPlan(shape, matrices, adapter.rank, base);
  using step = buildStep(backend, shape, { ...stepSettings(settings), targetsMax, parameters });
  const learned = new Map([...step.parameters].filter(([, { gradient }]) => gradient));
  const frozen = new Map([...step.parameters].filter(([, { gradient }]) => !gradient));
  await readParameters(step.store, frozen, base);
  initializeAdapter(step.store, learned, settings.seed);

  const best = join(request.run, BEST_NAME);
  const save = (path: string) =>
    saveModel(
      { metadata: adapterMetadata(base, adapter.alpha), tensors: writtenParameters(step.store, learned, "f32") },
      path,
    );
  const plan = {
    step,
    settings,
    data,
    validation,
    folder: request.run,
    identity: sha256(JSON.stringify([settings, shape, adapter, await sha256File(base.parts!), hashes])),
    keepBest: () => save(best).then(() => undefined),
  };
  const outcome = await trained(plan, context);
  if (outcome.state.best) await takeBest(best, step.store, learned);
  const file = await save(request.output);
  for (const name of [CHECKPOINT_NAME, BEST_NAME]) await rm(join(request.run, name), { force: true });
  const merged = await mergedFile(engine, request, base);
  return {
    ...outputOf(outcome, {
      ...file,
      settings,
      architecture: shape.architecture,
      parameters: [...learned.values()].reduce((sum, tensor) => sum + elementCount(tensor.shape), 0),
      memoryBytes: step.memoryBytesTaken,
      stepsPerEpoch: data.stepsPerEpoch,
      validationTargets: validationTargets(validation),
    }),
    adapter: { ...adapter, matrices: matrices.length },
    ...(merged && { merged }),
  };
}

/** The model as it lies in its file, and an adapter for some of its matrices, which alone is trained. */
function parameterPlan(
  shape: LlamaShape,
  matrices: readonly ParameterShape[],
  rank: number,
  { tensors }: Pick<Model, "tensors">,
): ParameterPlan {
  const added = adapterTensors(matrices, rank);
  const names = new Set(added.map(({ name }) => name));
  const frozen = llamaTensors(shape).map((tensor) => ({ ...tensor, type: tensors.get(tensor.name)!.type }));
  return { tensors: [...frozen, ...added], isTrained: (name) => names.has(name) };
}

/** A by chance, evenly within ±1/√k, and B zero, so that the adapter starts by changing nothing. */
function initializeAdapter(store: TensorStore, learned: ReadonlyMap<string, Tensor>, seed: number): void {
  const random = new Random(seed);
  for (const [name, tensor] of learned) {
    if (!name.endsWith(LORA_A)) continue;
    const stream = random.fork(name);
    const bound = 1 / Math.sqrt(tensor.shape[0]);
    const length = elementCount(tensor.shape);
    store.write(
      tensor,
      Float32Array.from({ length }, () => bound * (2 * stream.next() - 1)),
    );
  }
}

async function takeBest(path: string, store: TensorStore, learned: ReadonlyMap<string, Tensor>): Promise<void> {
  await using file = await readGguf(path);
  for (const [name, tensor] of learned) store.write(tensor, await file.readTensor(name));
}

async function mergedFile(engine: Engine, request: AdaptRequest, base: Model): Promise<MergedFile | undefined> {
  if (request.merge === undefined) return undefined;
  return writeMerged(engine, { base, adapter: request.output, output: request.merge, type: request.type ?? "f16" });
}
