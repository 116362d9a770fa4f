// A student with some of its teacher's layers: the same tensors, those of the kept layers numbered anew.
//
// Which layers: those without which the loss on text is lowest, measured. All choices are tried where there are few;
// otherwise the layer that is missed least is taken out, again and again (Gromov et al., 2024, arXiv:2403.17887, found that
// deep layers can be left out, and which ones is a matter of measuring).
import { FormatError, UsageError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { crossEntropy } from "../../graph/cross-entropy.js";
import { Graph } from "../../graph/graph.js";
import { type LlamaShape, llamaLogits, llamaTensors } from "../../graph/llama.js";
import { Operations } from "../../graph/operations.js";
import { declareParameters, readParameters } from "../../graph/parameters.js";
import { TensorStore } from "../../graph/store.js";
import type { Tensor } from "../../graph/tensor.js";
import { type BatchInputs, type Sequence, declareBatch, fillBatch } from "../../graph/token-batch.js";
import { Workspace } from "../../graph/workspace.js";
import type { LazyTensor, Model } from "../../model/model.js";
import type { CpuBackend } from "../../native/matmul.js";
import { countTargets } from "../../train/training-step.js";

/** Choices that are all tried. */
const CHOICES_MAX = 70;
const LAYER = /^blk\.(\d+)\./;

/** One choice of layers and what it costs. */
export interface LayerChoice {
  /** Kept ones, ascending. */
  layers: number[];
  /** Mean cross-entropy in nats per token. */
  loss: number;
}

/**
 * Finds the layers to keep.
 *
 * @param lossOf measures a choice
 * @returns the best choice, and every choice that was tried
 */
export function chooseLayers(
  count: number,
  kept: number,
  lossOf: (layers: number[]) => number,
): { best: LayerChoice; tried: LayerChoice[] } {
  const tried: LayerChoice[] = [];
  const bestOf = (choices: number[][]): LayerChoice => {
    const measured = choices.map((layers) => ({ layers, loss: lossOf(layers) }));
    tried.push(...measured);
    return measured.reduce((a, b) => (b.loss < a.loss ? b : a));
  };
  const all = Array.from({ length: count }, (_, i) => i);
  if (combinationCount(count, kept) <= CHOICES_MAX) return { best: bestOf(combinations(all, kept)), tried };
  let best: LayerChoice = { layers: all, loss: NaN };
  while (best.layers.length > kept)
    best = bestOf(best.layers.map((out) => best.layers.filter((layer) => layer !== out)));
  return { best, tried };
}

function combinationCount(n: number, k: number): number {
  let count = 1;
  for (let i = 1; i <= k; i++) count = (count * (n - k + i)) / i;
  return count;
}

function combinations(items: readonly number[], k: number): number[][] {
  if (k === 0) return [[]];
  return items.flatMap((item, i) => combinations(items.slice(i + 1), k - 1).map((rest) => [item, ...rest]));
}

/** Measures a teacher with some of its layers on a few sequences. */
export class LayerMeter implements Disposable {
  readonly #store: TensorStore;
  readonly #shape: LlamaShape;
  readonly #parameters: Map<string, Tensor>;
  readonly #inputs: BatchInputs;
  readonly #sequences: readonly Sequence[];

  private constructor(backend: CpuBackend, model: Model, shape: LlamaShape, sequences: readonly Sequence[]) {
    this.#shape = shape;
    this.#sequences = sequences;
    this.#store = TensorStore.create(backend);
    const tensors = llamaTensors(shape).map((tensor) => ({ ...tensor, type: typeOf(model, tensor.name) }));
    this.#parameters = declareParameters(this.#store, tensors, { isTrained: () => false });
    this.#inputs = declareBatch(this.#store, { sequences: 1, length: sequences[0]!.tokens.length, ...shape });
    this.#store.allocate();
  }

  static async create(
    backend: CpuBackend,
    model: Model,
    shape: LlamaShape,
    sequences: readonly Sequence[],
  ): Promise<LayerMeter> {
    const meter = new LayerMeter(backend, model, shape, sequences);
    await readParameters(meter.#store, meter.#parameters, model);
    return meter;
  }

  /** Mean cross-entropy in nats per token with these layers alone. */
  lossOf(layers: readonly number[]): number {
    using graph = Graph.create(this.#store.backend);
    const f = new Operations(graph);
    const shape = shapeWith(this.#shape, layers);
    const logits = llamaLogits(f, shape, renumbered(this.#parameters, layers), this.#inputs);
    const loss = graph.keep(crossEntropy(f, logits, this.#inputs.targets));
    using _workspace = Workspace.place(this.#store.backend, [graph]);
    const targets = countTargets(this.#sequences);
    return this.#sequences.reduce((sum, sequence) => {
      fillBatch(this.#store, this.#inputs, [sequence], targets);
      graph.compute();
      return sum + graph.read(loss)[0]!;
    }, 0);
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }
}

function typeOf({ tensors }: Model, name: string): GgmlType {
  return tensors.get(name)!.type;
}

/** The shape of a model with these layers alone. */
export function shapeWith(shape: LlamaShape, layers: readonly number[]): LlamaShape {
  return { ...shape, layers: layers.length, windows: layers.map((layer) => shape.windows[layer]) };
}

/** The entries of the kept layers under their new numbers, and all that is of no layer. */
function renumbered<Value>(entries: ReadonlyMap<string, Value>, layers: readonly number[]): Map<string, Value> {
  const places = new Map(layers.map((layer, place) => [layer, place]));
  const result = new Map<string, Value>();
  for (const [name, value] of entries) {
    const layer = LAYER.exec(name)?.[1];
    if (layer === undefined) result.set(name, value);
    else if (places.has(Number(layer))) result.set(name.replace(LAYER, `blk.${places.get(Number(layer))}.`), value);
  }
  return result;
}

/** The model with these layers alone, read from the teacher as it is asked for. */
export function withLayers(
  { metadata, tensors, spec, path }: Model,
  layers: readonly number[],
): Pick<Model, "metadata" | "tensors"> {
  const { architecture } = spec;
  const kept = renumbered(tensors, layers);
  const cut = metadata.clone().set(`${architecture}.block_count`, "uint32", layers.length);
  for (const key of cut.keys()) {
    if (key.startsWith(`${architecture}.`) && cut.typeOf(key) === "array" && cut.array(key)!.length === spec.layers)
      throw new FormatError(path ?? "model", `Cannot cut layers of "${path}": its metadata "${key}" differ by layer`);
  }
  return {
    metadata: cut,
    tensors: new Map([...kept].map(([name, tensor]): [string, LazyTensor] => [name, named(tensor, name)])),
  };
}

function named(tensor: LazyTensor, name: string): LazyTensor {
  const { shape, type, sizeBytes } = tensor;
  return { name, shape, type, sizeBytes, readRows: (...rows) => tensor.readRows(...rows) };
}

/** @throws {UsageError} when there are not so many */
export function requireLayers(kept: number, { layers }: LlamaShape): void {
  if (kept > layers)
    throw new UsageError(`A student of ${kept} layers can't be cut from a teacher of ${layers}`, {
      hint: "Ask for fewer, or give --student or --new",
    });
}
