// Recovery by training, after rounding: norms, scales, offsets and codes of a rounded model move so that its predictions come
// nearer to the original's (quantization-aware distillation; Liu et al., 2023, arXiv:2305.17888; Chen et al., 2024,
// arXiv:2407.11062). Types and sizes stay; what is written is a file like any other.
import { ResourceError } from "../../../errors.js";
import type { GgmlType } from "../../../formats/gguf/ggml-types.js";
import { type LlamaShape, llamaTensors } from "../../../graph/llama.js";
import type { ProductType } from "../../../graph/graph.js";
import { readParameters } from "../../../graph/parameters.js";
import type { Sequence } from "../../../graph/token-batch.js";
import { type Model, rowCount } from "../../../model/model.js";
import type { CpuBackend } from "../../../native/matmul.js";
import { learningRate } from "../../../train/schedule.js";
import { DataOrder } from "../../../train/pack.js";
import type { OnProgress } from "../../../support/progress.js";
import { formatBytes } from "../../../support/units.js";
import { scalarFormat } from "../round/scalar-format.js";
import { BlockScales, SCALED_TYPES } from "./block-scales.js";
import { DivergenceStep } from "./divergence-step.js";
import { GridWeight } from "./grid-weight.js";
import type { LearnedWeight, RecoveryRates } from "./learned-weight.js";
import { VectorWeight } from "./vector-weight.js";

/** What is to be recovered, and with what. */
export interface RecoveryRequest {
  backend: CpuBackend;
  shape: LlamaShape;
  original: Pick<Model, "tensors">;
  /** The types of the tensors that were rounded. */
  types: ReadonlyMap<string, GgmlType>;
  /** Their bytes, and those of norms that were fitted again. */
  bytes: Pick<ReadonlyMap<string, Uint8Array>, "get">;
  /** The weights of a tensor before it was rounded. */
  originalValues: (name: string) => Float32Array;
  /** Windows of text of one length to learn from. */
  windows: readonly Int32Array[];
  /** Tokens at a window's start that don't count. */
  firstScored: number;
  steps: number;
  products: ProductType;
  rates?: RecoveryRates | undefined;
  seed?: number | undefined;
  /** The divergence with some tensors' bytes replaced, on text that is not learned from. */
  measure: (changes: ReadonlyMap<string, Uint8Array>) => number;
  onProgress?: OnProgress | undefined;
  breathe?: (() => Promise<void>) | undefined;
}

export interface Recovery {
  /** What changed; empty where no step was better than the start. */
  bytes: Map<string, Uint8Array>;
  /** The step whose weights these are. */
  step: number;
  steps: number;
  /** Nats per token on text that is not learned from, before and after. */
  before: number;
  after: number;
}

/** The largest steps: of the distance between levels for a weight, of its size for a scale or a norm. */
export const RECOVERY_RATES: RecoveryRates = { code: 0.004, scale: 0.002 };
/** Scales and norms of which each may go so far; where there are more, all together go no farther than these would. */
const FACTORS_FULL = 16_384;
/** Tokens of a step. */
const STEP_TOKENS = 1024;
/** Tokens computed at once: probabilities of all the vocabulary are held for each. */
const BATCH_TOKENS = 512;
/** How often is looked whether it got better. */
const LOOKS = 8;
const MEMORY_SHARE_MAX = 0.9;

/**
 * Learns from the original's predictions, and gives the best of what it saw on other text.
 *
 * @throws {ResourceError} when memory can't hold both models with gradients
 */
export async function recover(request: RecoveryRequest): Promise<Recovery> {
  const { windows, steps, measure, onProgress } = request;
  const { sequences, parts } = batchOf(windows);
  using step = buildStep(request, sequences);
  const learned = await fillStep(step, request);
  const rates = request.rates ?? ratesFor(learned.values());
  const rows = windows.map((window) => sequenceOf(window, request.firstScored));
  const data = new DataOrder(rows, sequences * parts, request.seed ?? 0);

  const before = measure(new Map());
  const best: Recovery = { bytes: new Map(), step: 0, steps, before, after: before };
  for (let number = 1; number <= steps; number++) {
    const divergence = differentiate(step, data.at(number), sequences);
    const changes = update(step, learned, number, scheduled(rates, number, steps));
    if (number % Math.ceil(steps / LOOKS) === 0 || number === steps) {
      const after = measure(changes);
      if (after < best.after) Object.assign(best, { bytes: copied(changes), step: number, after });
    }
    onProgress?.({ stage: "recovering", done: number, total: steps, unit: "steps", result: divergence.toFixed(4) });
    await request.breathe?.();
  }
  return best;
}

/** Windows of a length with which so many steps see none twice. */
export function windowsToLearn(length: number, steps: number): number {
  const { sequences, parts } = batchSizes(length);
  return steps * sequences * parts;
}

/** How many sequences are computed at once, and how often for a step. */
function batchOf(windows: readonly Int32Array[]): { sequences: number; parts: number } {
  const wanted = batchSizes(windows[0]!.length);
  const sequences = Math.min(windows.length, wanted.sequences);
  return { sequences, parts: Math.min(wanted.parts, Math.floor(windows.length / sequences)) };
}

function batchSizes(length: number): { sequences: number; parts: number } {
  const sequences = Math.max(1, Math.floor(BATCH_TOKENS / length));
  return { sequences, parts: Math.max(1, Math.round(STEP_TOKENS / (sequences * length))) };
}

/** Each token predicts the next; the last of a window nothing that is known. */
function sequenceOf(window: Int32Array, firstScored: number): Sequence {
  const { length } = window;
  return {
    tokens: window,
    documents: new Int32Array(length),
    targets: new Int32Array(length),
    weights: new Float32Array(length).fill(1, firstScored),
  };
}

function buildStep(request: RecoveryRequest, sequences: number): DivergenceStep {
  const { backend, shape, original, types, windows, firstScored, products } = request;
  const { length } = windows[0]!;
  const originalTypes = (name: string): GgmlType => original.tensors.get(name)!.type;
  const step = new DivergenceStep(backend, shape, {
    sequences,
    length,
    targetsMax: length - firstScored,
    products,
    originalTypes,
    types: (name) => types.get(name) ?? originalTypes(name),
    isLearned: (name) => kindOf(request, name) !== undefined,
  });
  const availableBytes = process.availableMemory();
  const neededBytes = step.memoryBytes;
  if (neededBytes <= MEMORY_SHARE_MAX * availableBytes) return step.allocate();
  step[Symbol.dispose]();
  throw new ResourceError(
    `Recovery takes ${formatBytes(neededBytes)} of memory, and ${formatBytes(availableBytes)} are free`,
    { hint: "Leave --recover out, shorten --context, or free some memory" },
  );
}

/** What there is to learn of a tensor; undefined where it stays as it is. */
function kindOf(
  { types, original }: Pick<RecoveryRequest, "types" | "original">,
  name: string,
): "codes" | "scales" | "values" | undefined {
  const type = types.get(name);
  if (type !== undefined) return scalarFormat(type) ? "codes" : SCALED_TYPES.has(type) ? "scales" : undefined;
  const { type: own, shape } = original.tensors.get(name)!;
  return own === "f32" && shape.length === 1 && name !== "rope_freqs.weight" ? "values" : undefined;
}

/** Puts both models into the step, and makes what learns. */
async function fillStep(step: DivergenceStep, request: RecoveryRequest): Promise<Map<string, LearnedWeight>> {
  const { backend, shape, types, bytes, original, originalValues } = request;
  await readParameters(step.originalStore, step.original, original);
  const learned = new Map<string, LearnedWeight>();
  for (const { name } of llamaTensors(shape)) {
    const tensor = step.rounded.get(name)!;
    const start = bytes.get(name) ?? (await wholeTensor(original, name));
    step.store.write(tensor, start);
    const kind = kindOf(request, name);
    if (kind === "codes")
      learned.set(name, new GridWeight(scalarFormat(types.get(name)!)!, start, originalValues(name), tensor.shape[0]));
    if (kind === "scales") learned.set(name, new BlockScales(backend.engine, types.get(name)!, start));
    if (kind === "values") learned.set(name, new VectorWeight(new Float32Array(start.slice().buffer)));
  }
  return learned;
}

function wholeTensor({ tensors }: Pick<Model, "tensors">, name: string): Promise<Uint8Array> {
  const tensor = tensors.get(name)!;
  return tensor.readRows(0, rowCount(tensor.shape));
}

/** Gradients of a step. @returns nats per token */
function differentiate(step: DivergenceStep, batch: readonly Sequence[], sequences: number): number {
  for (const { gradient } of step.rounded.values()) if (gradient) step.store.zero(gradient);
  let sum = 0;
  for (let at = 0; at < batch.length; at += sequences) sum += step.run(batch.slice(at, at + sequences)) * sequences;
  return sum / batch.length;
}

/** One step of all that learns. @returns its bytes by name */
function update(
  step: DivergenceStep,
  learned: ReadonlyMap<string, LearnedWeight>,
  number: number,
  rates: RecoveryRates,
): Map<string, Uint8Array> {
  return new Map(
    [...learned].map(([name, weight]) => {
      const tensor = step.rounded.get(name)!;
      const bytes = weight.update(step.store.read(tensor.gradient!), number, rates);
      step.store.write(tensor, bytes);
      return [name, bytes];
    }),
  );
}

function ratesFor(learned: Iterable<LearnedWeight>): RecoveryRates {
  const factors = [...learned].reduce((sum, weight) => sum + weight.factors, 0);
  const { code, scale } = RECOVERY_RATES;
  return { code, scale: scale * Math.min(1, Math.sqrt(FACTORS_FULL / factors)) };
}

/** A cosine down to zero. */
function scheduled({ code, scale }: RecoveryRates, number: number, steps: number): RecoveryRates {
  const warmupSteps = Math.ceil(steps / 20);
  const share = learningRate(number, { kind: "cosine", rate: 1, steps, warmupSteps, finalShare: 0, decayShare: 0 });
  return { code: code * share, scale: scale * share };
}

function copied(changes: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  return new Map([...changes].map(([name, bytes]) => [name, bytes.slice()]));
}
